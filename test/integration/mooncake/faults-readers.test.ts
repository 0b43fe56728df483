/** Readers of our seed that die, stand still, or stop half-way: nothing of them is held, and everybody else reads on. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { readFile, readdir } from 'node:fs/promises';
import { after, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchDescriptor, tcpDescriptor } from '#src/handshake/index.js';
import { seedTensors, type Seed } from '#src/seed/index.js';
import { eventually } from '../../support/eventually.js';
import { MooncakePeer, pattern, versions, whySkip } from '../../support/mooncake/peer.js';
import { takeOwnStock, takeStock } from '../../support/mooncake/usage.js';
import { rawReader, stop, timed } from '../../support/mooncake/faults.js';
import { host } from './support.js';

const filled = 'readers';
const bytes = 48 * 2 ** 20;
const weights = pattern(filled, bytes);
const layout = [['all', bytes]] as const;

interface Offer {
  readonly seed: Seed;
  readonly address: bigint;
  readonly tcpPort: number;
}

/** A seed of one large tensor, closed with the test. */
async function offer(context: TestContext): Promise<Offer> {
  const identity = { modelName: 'org/readers' };
  const data = new Uint8Array(weights);
  const seed = await seedTensors([{ name: 'all', dtype: 'U8', data }], { identity, host, transport: 'tcp', sglang: { port: 0 } });
  context.after(() => seed.close());
  const { buffers, tcpDataPort } = await fetchDescriptor(seed.summary.sessionId, tcpDescriptor({ name: `${host}:1` }), { prefer: 'tcp' });
  const [buffer] = buffers;
  assert.ok(buffer !== undefined && buffers.length === 1);
  return { seed, address: buffer.address, tcpPort: tcpDataPort };
}

async function readerOf(version: string): Promise<MooncakePeer> {
  const peer = MooncakePeer.start(version, { MC_FORCE_TCP: '1' });
  await peer.initialize(host);
  await peer.allocate(layout);
  await peer.register();
  return peer;
}

/** Every byte, by a real one. */
async function readsAll(peer: MooncakePeer, { seed, address }: Offer): Promise<void> {
  await peer.clear();
  const { result } = await peer.read(seed.summary.sessionId, { all: String(address) });
  assert.equal(result, 0, peer.log.slice(-2000));
  assert.deepEqual(await peer.differing({ all: 0 }, filled), []);
}

/** Bytes that our connections at a port have sent and nobody has taken yet, of each connection. */
async function untaken(port: number): Promise<readonly number[]> {
  const rows = (await Promise.all(['tcp', 'tcp6'].map((table) => readFile(`/proc/self/net/${table}`, 'utf8')))).flatMap((text) =>
    text.split('\n'),
  );
  return rows.flatMap((row) => {
    const [, local = '', , state, queues = ''] = row.trim().split(/\s+/);
    const established = state === '01' && Number.parseInt(local.split(':')[1] ?? '', 16) === port;
    return established ? [Number.parseInt(queues.split(':')[0] ?? '', 16)] : [];
  });
}

/** A real reader that stands still in the middle of a read of ours: what it does not take waits at our end. */
async function stuckReader(peer: MooncakePeer, { seed, address, tcpPort }: Offer): Promise<void> {
  await eventually('reader that is stuck in the middle', async () => {
    const read = { done: false };
    const end = (): void => void (read.done = true);
    const reading = peer.read(seed.summary.sessionId, { all: String(address) }).then(end, end);
    // Step by step: all at once would be over before anybody has looked.
    while (!read.done) {
      await stop(peer.process);
      if ((await untaken(tcpPort)).some((count) => count > 0)) return true;
      peer.process.kill('SIGCONT');
      await sleep(1);
    }
    await reading;
    return undefined;
  });
}

/** Reads by the raw protocol; all bytes, or as many as came until the end. */
function collect(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part)).resume();
  return new Promise((resolve) => socket.on('close', () => resolve(Buffer.concat(parts))).on('end', () => socket.end()));
}

for (const version of new Set([versions[0] ?? '', versions.at(-1) ?? ''])) {
  test(
    `a reader that stands still blocks nobody; killed, it leaves nothing, Mooncake ${version}`,
    { skip: whySkip(version) },
    async (context) => {
      const ours = await offer(context);
      const [other, victim] = await Promise.all([readerOf(version), readerOf(version)]);
      await readsAll(other, ours);
      const check = await takeOwnStock();
      await stuckReader(victim, ours);
      await readsAll(other, ours);
      await victim.kill();
      await check();
      assert.deepEqual(await untaken(ours.tcpPort).then((each) => each.filter((count) => count > 0)), []);
      await readsAll(other, ours);
    },
  );
}

describe('by hand', () => {
  const size = BigInt(bytes);
  /** Of memory nothing can be said here: this process has what its own readers read. */
  const takeSockets = (): Promise<() => Promise<void>> =>
    takeStock('ours', async () => ({ files: (await readdir('/proc/self/fd')).length }));

  test('readers that take nothing, that are half-closed, and that are cut off: the others get every byte', async (context) => {
    const ours = await offer(context);
    const request = { address: ours.address, bytes: size };
    const check = await takeSockets();
    const slow = Array.from({ length: 20 }, () => rawReader(ours.tcpPort, request).pause());
    context.after(() => slow.forEach((socket) => socket.destroy()));
    await eventually('twenty answers that nobody takes', async () => {
      return (await untaken(ours.tcpPort)).filter((count) => count > 0).length >= 20 ? true : undefined;
    });

    // Says that it will ask for nothing more, at once: the answer comes all the same, then the end.
    const halfClosed = rawReader(ours.tcpPort, request);
    halfClosed.end();
    assert.ok((await collect(halfClosed)).equals(weights));

    // Half of a request, and then nothing for as long as it likes.
    const half = connect({ host, port: ours.tcpPort }).on('error', () => undefined);
    context.after(() => half.destroy());
    half.write(Buffer.alloc(11));

    const whole = rawReader(ours.tcpPort, request);
    const taken = await new Promise<Buffer>((resolve) => {
      const parts: Buffer[] = [];
      let count = 0;
      whole.on('data', (part: Buffer) => {
        parts.push(part);
        count += part.length;
        if (count === bytes) resolve(Buffer.concat(parts));
      });
    });
    assert.ok(taken.equals(weights));
    assert.equal(half.readyState, 'open');

    for (const socket of [...slow, half, whole]) socket.resetAndDestroy();
    await check();
  });

  test('those that were slow are not forgotten: one that goes on gets the rest', async (context) => {
    const ours = await offer(context);
    const slow = rawReader(ours.tcpPort, { address: ours.address, bytes: size }).pause();
    await eventually('answer that waits', async () => ((await untaken(ours.tcpPort)).some((count) => count > 0) ? true : undefined));
    slow.end();
    assert.ok((await collect(slow)).equals(weights));
  });

  test('a seed that is closed ends them all, and gives its memory back', async () => {
    const check = await takeSockets();
    const sockets: Socket[] = [];
    const context = { after } as unknown as TestContext;
    const ours = await offer(context);
    for (let count = 0; count < 10; count++) sockets.push(rawReader(ours.tcpPort, { address: ours.address, bytes: size }).pause());
    sockets.push(connect({ host, port: ours.tcpPort }).on('error', () => undefined));
    sockets.push(connect({ host, port: Number(ours.seed.summary.sessionId.split(':').at(-1)) }).on('error', () => undefined));
    await eventually('ten answers that nobody takes', async () => {
      return (await untaken(ours.tcpPort)).filter((count) => count > 0).length >= 10 ? true : undefined;
    });
    const closed = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve)));
    await ours.seed.close();
    for (const socket of sockets) socket.resume();
    for (const socket of sockets) socket.on('end', () => socket.end());
    await Promise.all(closed);
    await check();
  });

  test('whoever is silent at the handshake port is shown out after five seconds, and is in nobody’s way until then', async (context) => {
    const ours = await offer(context);
    const { sessionId } = ours.seed.summary;
    const port = Number(sessionId.split(':').at(-1));
    const part = Buffer.from('4b0000000000000001', 'hex');
    const silent = [0, 3, 8, 9].map((sent) => {
      const socket = connect({ host, port });
      socket.on('error', () => undefined).resume();
      if (sent > 0) socket.write(part.subarray(0, sent));
      return socket;
    });
    const ends = timed(Promise.all(silent.map((socket) => new Promise((resolve) => socket.on('close', resolve)))));
    const { buffers } = await fetchDescriptor(sessionId, tcpDescriptor({ name: `${host}:1` }));
    assert.equal(buffers.length, 1);
    assert.ok(silent.every((socket) => socket.readyState !== 'closed'));
    const { ms } = await ends;
    assert.ok(ms > 4500 && ms < 20_000, `${ms.toFixed(0)} ms`);
  });
});

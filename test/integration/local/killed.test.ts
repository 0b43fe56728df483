/** The seed is killed while it is read without a wire: from its memory (a mirror), and through descriptors (files). */
import assert from 'node:assert/strict';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { fetchDescriptor, tcpDescriptor } from '#src/handshake/index.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { native } from '#src/native.js';
import { pull } from '#src/target/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { assertSameModel } from '../../support/models.js';
import { Role, seed as seedCommand, serve } from '../../support/roles.js';

const folder = await temporaryFolder();
const model = join(folder, 'model');
await generateModel(model, qwen2_5_7b({ scale: 24 }), { maxFileBytes: 8e6 });

/** A server, and a seed whose bytes come the given way; with the session to ask it by. */
async function killable(memory: 'files' | 'anonymous', modelName: string): Promise<{ address: string; role: Role; session: string }> {
  const { address } = await serve();
  const base = ['--server', address, '--host', '127.0.0.1', '--model-name', modelName];
  const { role: origin, ready } = await seedCommand(model, base);
  if (memory === 'files') return { address, role: origin, session: String(ready['sessionId']) };
  const role = new Role(['mirror', ...base]);
  const session = String((await role.next())['sessionId']);
  await origin.stop();
  return { address, role, session };
}

for (const memory of ['files', 'anonymous'] as const) {
  test(`a pull from ${memory} whose seed is killed when reading begins has every byte, or fails and leaves nothing`, async () => {
    const { address, role } = await killable(memory, `pulled-${memory}`);
    const path = join(folder, `out-${memory}`);
    const before = await readdir(folder);
    let killed = false;
    const identity = { modelName: `pulled-${memory}` };
    const pulled = pull({
      ...{ identity, server: address, host: '127.0.0.1', transport: 'local' as const },
      into: { kind: 'directory', path },
      sliceBytes: 4096, // thousands of calls, so that the end comes between two
    });
    let error: unknown;
    try {
      for await (const { phase } of pulled) if (phase === 'wire' && !killed) killed = role.process.kill('SIGKILL');
    } catch (reason) {
      error = reason;
    }
    assert.ok(killed);
    await role.ended;
    if (error === undefined) {
      await assertSameModel(model, path);
      return;
    }
    assert.ok(error instanceof WeightcastError);
    assert.ok(
      ['ERR_PEER_LOST', 'ERR_REMOTE_ACCESS', 'ERR_SOURCE_GONE', 'ERR_HANDSHAKE'].includes(error.code),
      `${error.code}: ${error.message}`,
    );
    await assert.rejects(access(path));
    assert.deepEqual(await readdir(folder), before);
  });
}

const sliceBytes = 1 << 16;

test('what was read from the memory of a seed before it was killed is right; the rest is an error, and no byte of it counts', async () => {
  const { role, session } = await killable('anonymous', 'between');
  const descriptor = await fetchDescriptor(session, tcpDescriptor({ name: '127.0.0.1:1' }), { prefer: 'tcp' });
  const socket = descriptor.weightcast?.local;
  assert.ok(socket);
  const peer = await native().connectLocal(socket.name, socket.token, 2000);
  const [address, length] = [peer.bufferAddress[0] ?? 0n, peer.bufferLength[0] ?? 0n];
  const into = await native().allocate(length, 'auto');
  const again = await native().allocate(length, 'auto');
  const read = (region: typeof into, times: number): ReturnType<ReturnType<typeof native>['startTransfer']> =>
    native().startTransfer({
      remoteAddress: new BigUint64Array(times).fill(address),
      length: new BigUint64Array(times).fill(length),
      localOffset: new BigUint64Array(times),
      region: new Uint32Array(times),
      regions: [region],
      bufferAddress: peer.bufferAddress,
      bufferLength: peer.bufferLength,
      lanes: [peer.lane('local #1')],
      sliceBytes,
      maxSegments: 16,
      merge: false,
    });
  const whole = await read(into, 1).done;
  assert.deepEqual([whole.fault, whole.bytes], [undefined, length]);
  // The same bytes to the same place, for seconds: the seed ends while they come.
  const times = Math.ceil(2 ** 35 / Number(length));
  const reading = read(again, times);
  await eventually('second round', () => (reading.progress().bytes > length ? true : undefined));
  await role.stop('SIGKILL');
  const outcome = await reading.done;
  assert.equal(outcome.fault?.nativeCode, 'PEER_LOST');
  assert.ok(outcome.bytes > length && outcome.bytes < length * BigInt(times), String(outcome.bytes));
  const right = Buffer.alloc(Number(length));
  const found = Buffer.alloc(Number(length));
  await Promise.all([into.read(0n, right), again.read(0n, found)]);
  // By address: the first slice came first, and what never came is as it was allocated.
  const nothing = Buffer.alloc(sliceBytes);
  for (let at = 0; at < right.length; at += sliceBytes) {
    const [wanted, slice] = [right, found].map((bytes) => bytes.subarray(at, at + sliceBytes));
    assert.ok(wanted && slice);
    assert.ok(slice.equals(wanted) || (at > 0 && slice.equals(nothing.subarray(0, slice.length))), `bytes at ${String(at)}`);
  }
  into.close();
  again.close();
  await peer.close();
});

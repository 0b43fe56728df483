/** Sources of mirrors that lie, change, die or fall silent, and mirrors that are ended: what is not verified is never READY. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { mirror, pull, seedModel, type WeightcastError, type MirrorOptions, type PullProgress } from '#src/index.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b, smallTensors } from '#src/model/shapes/index.js';
import { byteTensors, temporaryFolder } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { Role, errorOf, seed } from '../../support/roles.js';
import { inOrder, serveTensors, shared } from '../target/support.js';
import { knownWorkers, tcp } from './support.js';

const transfers = new TransferLog();
const server = await MetadataServer.listen({ listen: '127.0.0.1:0', transfers });
after(() => server.close());
const folder = await temporaryFolder();
const large = join(folder, 'large');
await generateModel(large, qwen2_5_7b({ scale: 12 }), {});
const sizes = [1, 0, 4096, 100_000, 1_000_000];

/** Changes a byte of the memory that a seed serves. */
function flip(data: Uint8Array | undefined, at: number): void {
  assert.ok(data);
  data[at] = (data[at] ?? 0) ^ 0x10;
}

/** Runs `act` once, as soon as `when` holds of the progress. */
function atProgress(when: (progress: PullProgress) => boolean, act: () => void): (progress: PullProgress) => void {
  let done = false;
  return (progress) => {
    if (done || !when(progress)) return;
    done = true;
    act();
  };
}

async function neverReady(options: MirrorOptions, expected: { code: string; message: RegExp }): Promise<void> {
  await assert.rejects(
    async () => mirror({ workerId: 'mirror', ...options }),
    (error: WeightcastError) => {
      assert.equal(error.code, expected.code, error.message);
      assert.match(error.message, expected.message);
      return true;
    },
  );
  assert.ok(!(await knownWorkers(server.address, options.identity.modelName)).includes('mirror'), 'nothing was published');
}

describe('a source whose bytes are not what they were', () => {
  test('under a checksum: the next source, or an error', async (context) => {
    const options = shared(server.address);
    const tensors = byteTensors(sizes);
    await serveTensors(context, options, 'liar', tensors);
    flip(tensors[3]?.data, 777);
    await neverReady(options, {
      code: 'ERR_CHECKSUM_MISMATCH',
      message: /1 of 5 tensors .* differ from its checksums, the first is tensor\.3/,
    });
    await serveTensors(context, options, 'good', byteTensors(sizes));
    await using mirrored = await mirror({ ...options, source: { selector: inOrder('liar', 'good') } });
    assert.equal(mirrored.summary.source.workerId, 'good');
    assert.equal(mirrored.summary.source.attempts[0]?.code, 'ERR_CHECKSUM_MISMATCH');
  });

  test('between two reads of a source without checksums', async (context) => {
    const options = { ...shared(server.address), checksums: false };
    const tensors = byteTensors(sizes);
    await serveTensors(context, options, 'changing', tensors);
    const onProgress = (): MirrorOptions['onProgress'] =>
      atProgress(
        ({ phase }) => phase === 'verify',
        () => flip(tensors[4]?.data, 99),
      );
    const message = /1 of 5 tensors .* differ between two reads, the first is tensor\.4; .* changes while it is read/;
    await neverReady({ ...options, onProgress: onProgress()! }, { code: 'ERR_CHECKSUM_MISMATCH', message });

    await serveTensors(context, options, 'good', byteTensors(sizes));
    const source = { selector: inOrder('changing', 'good') };
    await using mirrored = await mirror({ ...options, onProgress: onProgress()!, source, workerId: 'mirror' });
    assert.equal(mirrored.summary.source.workerId, 'good');
    const result = await pull({ ...options, into: { kind: 'memory' }, selector: inOrder('mirror') });
    assert.ok(result.output.kind === 'memory');
    using region = result.output.region;
    for (const [index, { name, offset, bytes }] of result.output.tensors.entries()) {
      assert.deepEqual(region.view(offset, Number(bytes)), byteTensors(sizes)[index]?.data, name);
    }
  });

  test('in a file beside the weights', async (context) => {
    const path = join(folder, 'files');
    await generateModel(path, smallTensors({ count: 3, bytes: 64 }), { config: { model_type: 'before' } });
    const options = shared(server.address);
    const seeded = await seedModel(path, { ...options, workerId: 'seed' });
    context.after(() => seeded.close());
    await writeFile(join(path, 'config.json'), '{"model_type":"after"}');
    await neverReady(options, { code: 'ERR_CHECKSUM_MISMATCH', message: /config\.json differs from what the seed announced/ });
  });

  test('nobody asks for them to be verified: targets of the mirror are told no more than the source says', async (context) => {
    const options = shared(server.address);
    const tensors = byteTensors(sizes);
    await serveTensors(context, options, 'liar', tensors);
    flip(tensors[3]?.data, 5);
    await using unverified = await mirror({ ...options, verify: 'none', workerId: 'unverified' });
    assert.equal(unverified.summary.source.verified, undefined);
    assert.match(unverified.summary.notes.join(), /not verified/);
    const discard = { ...options, into: { kind: 'discard' } } as const;
    await assert.rejects(async () => pull({ ...discard, selector: inOrder('unverified') }), { code: 'ERR_CHECKSUM_MISMATCH' });

    const silent = { ...shared(server.address), checksums: false };
    await serveTensors(context, silent, 'silent', byteTensors(sizes));
    await using second = await mirror({ ...silent, verify: 'none', workerId: 'second' });
    assert.equal(second.summary.source.verified, undefined);
    const result = await pull({ ...silent, into: { kind: 'discard' }, selector: inOrder('second') });
    assert.equal(result.verified, undefined);
  });
});

/** Small reads on one connection, so that there is a middle. */
const slowly = { connections: 1, sliceBytes: 4096 };

/** Options for a mirror of processes that serve the large model. */
async function seedsOfLarge(
  workerIds: readonly string[],
  args: readonly string[] = [],
): Promise<{ options: ReturnType<typeof shared>; roles: Role[] }> {
  const options = shared(server.address);
  const base = ['--server', server.address, '--model-name', options.identity.modelName, ...tcp, ...args];
  const started = await Promise.all(workerIds.map((id) => seed(large, [...base, '--worker-id', id])));
  return { options, roles: started.map(({ role }) => role) };
}

const midWire = ({ phase, bytes, totalBytes }: PullProgress): boolean => phase === 'wire' && bytes > 0n && bytes < totalBytes;

describe('a source that dies while it is read', () => {
  test('alone: an error; with another one: that', async () => {
    const { options, roles } = await seedsOfLarge(['first', 'second', 'third']);
    const [first, second, third] = roles;
    const kill = (role: Role | undefined): MirrorOptions['onProgress'] => atProgress(midWire, () => role?.process.kill('SIGKILL'));
    const source = { ...slowly, selector: inOrder('first', 'second') };
    await using mirrored = await mirror({ ...options, source, onProgress: kill(first)! });
    assert.equal(mirrored.summary.source.workerId, 'second');
    assert.equal(mirrored.summary.source.attempts[0]?.code, 'ERR_PEER_LOST');
    await second?.stop('SIGKILL');
    const alone = { ...slowly, selector: inOrder('third') };
    await neverReady({ ...options, source: alone, onProgress: kill(third)! }, { code: 'ERR_PEER_LOST', message: /reading from/ });
  });

  test('in its second read, which could not be compared with the first', async () => {
    const { options, roles } = await seedsOfLarge(['only'], ['--no-checksums']);
    let verifying = false;
    const secondRead = (progress: PullProgress): boolean => {
      verifying ||= progress.phase === 'verify';
      return verifying && midWire(progress);
    };
    const onProgress = atProgress(secondRead, () => roles[0]?.process.kill('SIGKILL'));
    await neverReady({ ...options, source: slowly, onProgress }, { code: 'ERR_PEER_LOST', message: /reading from/ });
  });
});

test('no two copies are in memory at any time, also when every byte is read twice', async () => {
  const { options } = await seedsOfLarge(['only'], ['--no-checksums']);
  let bytes = 0n;
  await pull({ ...options, into: { kind: 'discard' }, reportTransfers: false }).then((result) => (bytes = result.bytes));
  // Native threads may still be unmapping what earlier tests have closed.
  await eventually('memory without a copy', () => copiesMapped(bytes) === 0 || undefined);
  let most = 0;
  const phases = new Set<string>();
  const look = ({ phase }: { readonly phase: string }): void => {
    phases.add(phase);
    most = Math.max(most, copiesMapped(bytes));
  };
  await using mirrored = await mirror({ ...options, onProgress: look, onPhase: (phase) => look({ phase }) });
  assert.equal(mirrored.summary.source.verified?.bytesReadTwice, bytes);
  assert.ok(
    ['prepare', 'wire', 'verify', 'write', 'register', 'publish'].every((phase) => phases.has(phase)),
    [...phases].join(),
  );
  assert.deepEqual([most, copiesMapped(bytes)], [1, 1]);
  await mirrored.close();
  await eventually('memory given back', () => copiesMapped(bytes) === 0 || undefined);
});

/** How many times so many bytes would fit into the writable anonymous mappings of this process. */
function copiesMapped(bytes: bigint): number {
  const anonymous = /^([0-9a-f]+)-([0-9a-f]+) rw-. \S+ \S+ \d+ *$/gm;
  let copies = 0n;
  for (const [, start = '', end = ''] of readFileSync('/proc/self/maps', 'utf8').matchAll(anonymous)) {
    copies += (BigInt(`0x${end}`) - BigInt(`0x${start}`)) / bytes;
  }
  return Number(copies);
}

describe('a mirror that is ended', () => {
  const pulling = ['discover', 'connect', 'prepare', 'register', 'wire', 'verify', 'write'];
  const ends = ['prepare', 'open', ...pulling.map((phase) => `open, ${phase}`), 'register', 'publish'];
  for (const end of ends) {
    test(`at ${end}: ERR_ABORTED, and nothing is published or kept`, async (context) => {
      const options = { ...shared(server.address), checksums: false };
      await serveTensors(context, options, 'seed', byteTensors(sizes));
      const abort = new AbortController();
      const at = (phase: string): void => {
        if (phase === end) abort.abort();
      };
      const running = {
        ...options,
        signal: abort.signal,
        onPhase: at,
        onProgress: ({ phase }: PullProgress) => at(`open, ${phase}`),
      };
      await neverReady(running, { code: 'ERR_ABORTED', message: /abort|cancelled/ });
    });
  }

  test('by a signal while it waits, or while its source is silent: 130, 143, and nothing is published', async () => {
    const { options, roles } = await seedsOfLarge(['stopped']);
    const { modelName } = options.identity;
    const args = ['mirror', '--server', server.address, '--worker-id', 'mirror', ...tcp];
    const waiting = new Role([...args, '--model-name', 'org/none', '--wait', '600']);
    await eventually('a mirror that asks', () => transferOf('org/none'));
    const waited = await waiting.stop('SIGINT');
    assert.equal(errorOf(waited, 130).code, 'ERR_ABORTED');

    roles[0]?.process.kill('SIGSTOP');
    const reading = new Role([...args, '--model-name', modelName]);
    await eventually('a mirror that reads', () => transferOf(modelName));
    const read = await reading.stop('SIGTERM');
    assert.equal(errorOf(read, 143).code, 'ERR_ABORTED');
    assert.deepEqual(await knownWorkers(server.address, modelName), ['stopped']);
    await roles[0]?.stop('SIGKILL');
  });
});

/** What a mirror told the server of its pull. */
function transferOf(modelName: string): object | undefined {
  return transfers.list().find((transfer) => transfer.modelName === modelName);
}

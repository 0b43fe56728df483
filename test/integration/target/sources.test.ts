/** A pull that has several sources to choose from, some of which are gone, lie or do not fit. */
import assert from 'node:assert/strict';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { WeightcastError } from '#src/errors.js';
import { TransferState } from '#src/gen/weightcast/transfers.js';
import type { MetadataServer } from '#src/metadata/server/server.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { readHeader } from '#src/model/safetensors.js';
import { pull, type PullProgress, type SourceSelector } from '#src/target/index.js';
import { byteTensors, startServer, temporaryFolder } from '../../support/cluster.js';
import { startServer as serverWith } from '../metadata/support.js';
import { inOrder, publish, publishGone, recordOf, serveTensors, shared } from './support.js';

const server = await startServer();
const sizes = [1, 4096, 100_000, 1_000_000];

test('two sources that are listed and gone are passed over, each with its reason', async (context) => {
  const options = shared(server.address);
  await publishGone(options, 'gone1');
  await publishGone(options, 'gone2');
  const tensors = byteTensors(sizes);
  await serveTensors(context, options, 'good', tensors);
  const result = await pull({ ...options, into: { kind: 'memory' }, selector: inOrder('gone1', 'gone2', 'good') });
  assert.equal(result.workerId, 'good');
  assert.equal(result.selector, 'in order');
  assert.deepEqual(
    result.attempts.map(({ workerId, code, counted }) => ({ workerId, code, counted })),
    [
      { workerId: 'gone1', code: 'ERR_SOURCE_GONE', counted: true },
      { workerId: 'gone2', code: 'ERR_SOURCE_GONE', counted: true },
    ],
  );
  for (const { message, ms, sourceId } of result.attempts) {
    assert.match(message, /UNAVAILABLE at 127\.0\.0\.1/);
    assert.ok(ms > 0 && ms < result.totalMs);
    assert.equal(sourceId, result.sourceId);
  }
  assert.equal(result.verified?.tensors, tensors.length);
  assert.equal(result.output.kind, 'memory');
  using region = result.output.region;
  for (const [index, placed] of result.output.tensors.entries()) {
    assert.deepEqual(region.view(placed.offset, Number(placed.bytes)), tensors[index]?.data);
  }
});

test('all three gone: the error lists them, the fourth is said to be untried', async () => {
  const options = shared(server.address);
  for (const id of ['a', 'b', 'c', 'd']) await publishGone(options, id);
  await assert.rejects(
    async () => pull({ ...options, into: { kind: 'discard' }, selector: inOrder('a', 'b', 'c', 'd') }),
    (error: WeightcastError) => {
      assert.equal(error.code, 'ERR_SOURCE_GONE');
      assert.match(error.message, /^3 source\(s\) of org\/target-\d+ failed; 1 more not tried/);
      assert.match(error.message, /\nworker a: ERR_SOURCE_GONE: .*\nworker b: .*\nworker c: /);
      assert.deepEqual(
        error.attempts?.map((attempt) => attempt.workerId),
        ['a', 'b', 'c'],
      );
      return true;
    },
  );
});

test('a source that lies is passed over, and the good bytes are what is left', async (context) => {
  const options = shared(server.address);
  const folder = await temporaryFolder();
  const lying = byteTensors(sizes);
  await serveTensors(context, options, 'liar', lying);
  await serveTensors(context, options, 'good', byteTensors(sizes));
  const changed = lying[2]?.data;
  assert.ok(changed);
  changed[777] = (changed[777] ?? 0) ^ 1;
  const path = join(folder, 'out');
  const result = await pull({ ...options, into: { kind: 'directory', path }, selector: inOrder('liar', 'good') });
  assert.equal(result.workerId, 'good');
  assert.equal(result.attempts[0]?.code, 'ERR_CHECKSUM_MISMATCH');
  assert.match(result.attempts[0].message, /1 of 4 tensors.*tensor\.2/);
  assert.deepEqual(await readdir(folder), ['out'], 'nothing of the first attempt is left');
  const file = join(path, 'model.safetensors');
  const header = await readHeader(file);
  const bytes = await readFile(file);
  const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
  const good = new Map(byteTensors(sizes).map(({ name, data }) => [name, data]));
  assert.equal(header.tensors.length, sizes.length);
  for (const { name, offset, bytes: length } of header.tensors) {
    const start = dataStart + Number(offset);
    assert.ok(bytes.subarray(start, start + Number(length)).equals(good.get(name) ?? Buffer.alloc(0)), name);
  }
});

test('a sample of the tensors is compared where that is asked for, and said to be one; it finds a source that holds something else', async (context) => {
  const options = { ...shared(server.address), verify: 'sampled' as const };
  const many = Array.from({ length: 100 }, (_, index) => 64 + index);
  const stale = byteTensors(many);
  await serveTensors(context, options, 'stale', stale);
  await serveTensors(context, options, 'good', byteTensors(many));
  for (const { data } of stale) data.fill(0xa5);
  const result = await pull({ ...options, into: { kind: 'discard' }, selector: inOrder('stale', 'good') });
  assert.equal(result.workerId, 'good');
  assert.equal(result.attempts[0]?.code, 'ERR_CHECKSUM_MISMATCH');
  assert.match(result.attempts[0].message, /^16 of 16 tensors/);
  assert.deepEqual([result.verified?.tensors, result.verified?.sampleOf], [16, 100]);
  assert.ok(result.notes.some((note) => /^16 of 100 tensors were compared .*: a sample$/.test(note)));
});

test('buffers of the caller and shared memory take the second source as if there had been no first', async (context) => {
  const options = shared(server.address);
  const lying = byteTensors(sizes);
  await serveTensors(context, options, 'liar', lying);
  await serveTensors(context, options, 'good', byteTensors(sizes));
  for (const { data } of lying) data.fill(0xee);
  const selector = inOrder('liar', 'good');
  const into = byteTensors(sizes).map(({ name, data }) => ({ name, data: new Uint8Array(data.length) }));
  const own = await pull({ ...options, into: { kind: 'tensors', tensors: into }, selector });
  assert.equal(own.attempts[0]?.code, 'ERR_CHECKSUM_MISMATCH');
  assert.deepEqual(
    into.map(({ data }) => data),
    byteTensors(sizes).map(({ data }) => data),
  );
  const name = `weightcast-second-${String(process.pid)}`;
  context.after(() => rm(`/dev/shm/${name}`, { force: true }));
  const there = await pull({ ...options, into: { kind: 'shared', name }, selector });
  assert.equal(there.attempts.length, 1);
  const { tensors } = await readHeader(`/dev/shm/${name}`);
  assert.equal(tensors.length, sizes.length);
  assert.deepEqual(
    (await readdir('/dev/shm')).filter((entry) => entry.includes(name)),
    [name],
  );
});

test('a source that does not have what is expected is passed over; where none has it, the mismatch is the error', async (context) => {
  const options = shared(server.address);
  await serveTensors(context, options, 'small', byteTensors([10]));
  await serveTensors(context, options, 'large', byteTensors([10, 20]));
  const expect = [{ name: 'tensor.1', bytes: 20n }];
  const result = await pull({ ...options, into: { kind: 'discard' }, expect, selector: inOrder('small', 'large') });
  assert.equal(result.attempts[0]?.code, 'ERR_TENSOR_MISSING');
  await assert.rejects(
    async () => pull({ ...options, into: { kind: 'discard' }, expect: [{ name: 'tensor.7' }], selector: inOrder('small', 'large') }),
    { code: 'ERR_TENSOR_MISSING', message: /worker small: .*\nworker large: / },
  );
});

test('an abort while the second source is tried ends the pull, and nothing is left', async (context) => {
  const options = shared(server.address);
  const folder = await temporaryFolder();
  await publishGone(options, 'gone');
  await serveTensors(context, options, 'good', byteTensors([50_000_000]));
  const phases = ['discover', 'connect', 'prepare', 'register', 'wire', 'verify', 'write'];
  for (const [step, phase] of phases.entries()) {
    const abort = new AbortController();
    const running = pull({
      ...options,
      into: { kind: 'directory', path: join(folder, phase) },
      selector: inOrder('gone', 'good'),
      signal: abort.signal,
    });
    const watching = (async () => {
      for await (const { attempt, phase: now } of running) if (attempt === 2 && phases.indexOf(now) >= step) abort.abort();
    })().catch(() => undefined);
    await assert.rejects(
      async () => running,
      (error: WeightcastError) => {
        assert.equal(error.code, 'ERR_ABORTED', error.message);
        assert.match(error.message, /before that:\nworker gone: ERR_SOURCE_GONE/);
        assert.equal(error.attempts?.length, 1);
        return true;
      },
    );
    await watching;
  }
  assert.deepEqual(await readdir(folder), []);
});

test('progress begins anew with each source, and phases are those of the one that was read', async (context) => {
  const options = shared(server.address);
  await publishGone(options, 'gone');
  await serveTensors(context, options, 'good', byteTensors(sizes));
  const seen: PullProgress[] = [];
  const running = pull({ ...options, into: { kind: 'discard' }, selector: inOrder('gone', 'good') });
  for await (const progress of running) seen.push(progress);
  const result = await running;
  assert.ok(seen.every((progress, index) => progress.attempt >= (seen[index - 1]?.attempt ?? 1)));
  assert.equal(seen[0]?.phase, 'discover');
  assert.deepEqual(new Set(seen.filter(({ attempt }) => attempt === 1).map(({ phase }) => phase)), new Set(['discover']));
  assert.equal(seen.at(-1)?.attempt, 2);
  const phases = Object.values(result.phases).reduce((sum, ms) => sum + ms, 0);
  const failed = result.attempts.reduce((sum, { ms }) => sum + ms, 0);
  assert.ok(phases + failed <= result.totalMs, `${String(phases)} + ${String(failed)} of ${String(result.totalMs)} ms`);
});

test('workers that only speak NIXL are passed over without counting', async (context) => {
  const options = shared(server.address);
  const nixl = ['n1', 'n2', 'n3', 'n4'];
  for (const id of nixl) await publish(options, id, { backendMetadata: { $case: 'nixlMetadata', value: Buffer.from('agent') } });
  await assert.rejects(async () => pull({ ...options, into: { kind: 'discard' }, selector: inOrder(...nixl) }), {
    code: 'ERR_TRANSPORT_UNAVAILABLE',
    message: /no listed source .* can be read:\nworker n1: .*publishes nixlMetadata, not a transfer engine session/,
  });
  await serveTensors(context, options, 'good', byteTensors(sizes));
  const result = await pull({ ...options, into: { kind: 'discard' }, selector: inOrder(...nixl, 'good'), maxSources: 1 });
  assert.deepEqual(
    result.attempts.map(({ workerId, counted }) => ({ workerId, counted })),
    nixl.map((workerId) => ({ workerId, counted: false })),
  );
});

test('a record whose addresses are none is passed over', async (context) => {
  const options = shared(server.address);
  const seed = await serveTensors(context, options, 'good', byteTensors(sizes));
  const record = await recordOf(server.address, seed);
  await publish(options, 'bad endpoint', { ...record, workerGrpcEndpoint: 'no such:address:at all' });
  await publish(options, 'bad session', {
    ...record,
    workerGrpcEndpoint: '',
    backendMetadata: { $case: 'transferEngineSessionId', value: 'x:y:z' },
  });
  await publish(options, 'no tensors', { ...record, workerGrpcEndpoint: '', tensors: [], sourcePayload: undefined });
  const result = await pull({
    ...options,
    into: { kind: 'discard' },
    maxSources: 4,
    selector: inOrder('bad endpoint', 'bad session', 'no tensors', 'good'),
  });
  assert.deepEqual(
    result.attempts.map(({ workerId, code }) => [workerId, code]),
    [
      ['bad endpoint', 'ERR_PROTOCOL'],
      ['bad session', 'ERR_PROTOCOL'],
      ['no tensors', 'ERR_SOURCE_GONE'],
    ],
  );
});

test('accelerators: those that do not fit are not listed; a record that names none is refused for quantised weights', async (context) => {
  const base = shared(server.address);
  const options = { ...base, identity: { ...base.identity, dtype: 'bfloat16', quantization: 'fp8' } };
  const seed = await serveTensors(context, options, 'good', byteTensors(sizes));
  const { accelerator: _, ...record } = await recordOf(server.address, seed);
  const target = { ...options, into: { kind: 'discard' }, accelerator: 'cuda' } as const;
  await publish(options, 'good', { ...record, accelerator: 'xpu' });
  await assert.rejects(async () => pull(target), {
    code: 'ERR_NO_SOURCE',
    message: /READY sources of rank 0 at .* on xpu, and weights of dtype "bfloat16" and quantization "fp8" .* to cuda/,
  });
  await publish(options, 'unknown', { ...record, accelerator: '' });
  await assert.rejects(async () => pull(target), {
    code: 'ERR_NO_SOURCE',
    message: /its weights are on an accelerator that it does not name; those of dtype "bfloat16" and quantization "fp8"/,
  });
  // The same worker, on the target's own accelerator at last.
  await publish(options, 'good', { ...record, accelerator: 'cuda' });
  const result = await pull({ ...target, selector: inOrder('unknown', 'good') });
  assert.equal(result.workerId, 'good');
  assert.equal(result.attempts[0]?.code, 'ERR_NO_SOURCE');
  // A target that does not say what it is takes bytes as they are.
  await publish(options, 'good', { ...record, accelerator: 'xpu' });
  assert.equal((await pull({ ...target, accelerator: '', selector: inOrder('good') })).workerId, 'good');
});

test('rendezvous hashing chooses the same source every time, and by target', async (context) => {
  const options = shared(server.address);
  for (const id of ['s1', 's2', 's3', 's4']) await serveTensors(context, options, id, byteTensors([64]));
  const chosen = async (workerId: string): Promise<string> =>
    (await pull({ ...options, into: { kind: 'discard' }, selector: 'rendezvous_hash', workerId })).workerId;
  const first = await chosen('t1');
  for (let run = 0; run < 3; run++) assert.equal(await chosen('t1'), first);
  const all = new Set<string>();
  for (let target = 0; target < 12; target++) all.add(await chosen(`t${String(target)}`));
  assert.ok(all.size > 1, 'targets do not all choose the same');
});

test('options that make no sense are refused before anybody is asked', async () => {
  const options = { ...shared('127.0.0.1:1'), into: { kind: 'discard' } } as const;
  const bad: [object, RegExp][] = [
    [{ maxSources: 0 }, /maxSources but received 0/],
    [{ maxSources: 1.5 }, /maxSources/],
    [{ transferTimeoutMs: 0 }, /transferTimeoutMs/],
    [{ transferTimeoutMs: Number.NaN }, /transferTimeoutMs/],
    [{ selector: 'fastest' }, /random, rendezvous_hash.*"fastest"/],
    [{ selector: 'load_aware', loadWeight: -1 }, /loadWeight/],
  ];
  for (const [part, message] of bad)
    await assert.rejects(async () => pull({ ...options, ...part }), { code: 'ERR_INVALID_ARGUMENT', message });
});

test('a selector of the program that fails, or chooses none, is said', async (context) => {
  const options = { ...shared(server.address), into: { kind: 'discard' } } as const;
  await serveTensors(context, options, 'good', byteTensors([64]));
  const failing: SourceSelector = {
    name: 'mine',
    order: () => {
      throw new Error('no idea');
    },
  };
  await assert.rejects(async () => pull({ ...options, selector: failing }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /mine failed: .*no idea/,
  });
  await assert.rejects(async () => pull({ ...options, selector: inOrder() }), {
    code: 'ERR_NO_SOURCE',
    message: /in order chose no source/,
  });
});

test('the server is told of a pull, its source and its end, unless the target keeps it to itself', async (context) => {
  const transfers = new TransferLog();
  const watched: MetadataServer = await serverWith(context, { transfers });
  const options = shared(watched.address);
  await publishGone(options, 'gone');
  await serveTensors(context, options, 'good', byteTensors(sizes));
  await pull({ ...options, into: { kind: 'discard' }, selector: inOrder('gone', 'good') });
  await assert.rejects(async () => pull({ ...options, into: { kind: 'discard' }, selector: inOrder('gone') }));
  await pull({ ...options, into: { kind: 'discard' }, selector: inOrder('good'), reportTransfers: false });
  const [failed, done, ...more] = transfers.list();
  assert.equal(more.length, 0);
  assert.equal(done?.state, TransferState.TRANSFER_STATE_DONE);
  assert.equal(done.workerId, 'good');
  assert.equal(done.transport, 'tcp');
  assert.equal(done.bytes, BigInt(sizes.reduce((sum, size) => sum + size, 0)));
  assert.equal(failed?.state, TransferState.TRANSFER_STATE_FAILED);
  assert.equal(failed.workerId, 'gone');
  assert.match(failed.error, /^ERR_SOURCE_GONE: /);
});

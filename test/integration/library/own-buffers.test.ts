import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { pull, type PullProgress } from '#src/target/index.js';
import { byteTensors, pattern, startServer, temporaryFolder } from '../../support/cluster.js';

const server = await startServer();
let model = 0;

/** Every test has a model of its own, so that it finds no source but its own. */
function options(): { identity: { modelName: string }; server: string; host: string; transport: 'tcp' } {
  return { identity: { modelName: `org/own-buffers-${String(model++)}` }, server: server.address, host: '127.0.0.1', transport: 'tcp' };
}

function rejectsWith(code: string, pattern: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof WeightcastError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

test('own ArrayBuffers, parts of regions and raw addresses are pulled into a region, byte for byte', async () => {
  const shared = options();
  const tensors = byteTensors([1, 4095, 65_537, 1_000_000, 0]);
  const region = await Region.allocate(1n << 20n);
  region.view().set(pattern(1 << 20, 99));
  const raw = await Region.allocate(8192n);
  raw.view().set(pattern(8192, 7));
  await using seed = await seedTensors(
    [
      ...tensors,
      { name: 'in.region', dtype: 'torch.bfloat16', shape: [100, 10], data: { region, offset: 4096n, byteLength: 2000n } },
      { name: 'raw.first', dtype: 'F32', data: { address: raw.address, byteLength: 4096n } },
      { name: 'raw.second', dtype: 'F32', data: { address: raw.address + 4096n, byteLength: 4096n } },
    ],
    shared,
  );
  assert.deepEqual(seed.summary.transports, ['tcp']);
  assert.equal(seed.summary.backing, 'memory');

  const phases: PullProgress['phase'][] = [];
  const running = pull({ ...shared, into: { kind: 'memory' } });
  for await (const progress of running) if (phases.at(-1) !== progress.phase) phases.push(progress.phase);
  const result = await running;
  assert.equal(phases[0], 'discover');
  assert.equal(phases.at(-1), 'write');
  assert.equal(result.transport, 'tcp');
  assert.match(result.transportReason, /asked for/);
  const { bytesWhileReading = -1n, ...verified } = result.verified ?? {};
  assert.deepEqual(verified, { algorithm: 'xxh3-64', tensors: 8, bytes: result.bytes, bytesReadTwice: 0n });
  assert.ok(bytesWhileReading >= 0n && bytesWhileReading <= result.bytes);
  assert.equal(result.output.kind, 'memory');
  using memory = result.output.region;
  const found = new Map(result.output.tensors.map((tensor) => [tensor.name, tensor]));
  for (const tensor of tensors) {
    const placed = found.get(tensor.name);
    assert.ok(placed);
    assert.deepEqual(memory.view(placed.offset, Number(placed.bytes)), tensor.data, tensor.name);
  }
  const inRegion = found.get('in.region');
  assert.ok(inRegion);
  assert.equal(inRegion.dtype, 'BF16');
  assert.deepEqual(inRegion.shape, [100, 10]);
  assert.deepEqual(memory.view(inRegion.offset, 2000), region.view(4096n, 2000));
  const second = found.get('raw.second');
  assert.ok(second);
  assert.deepEqual(second.shape, [1024]);
  assert.deepEqual(memory.view(second.offset, 4096), raw.view(4096n, 4096));
});

test('a pull fills the caller’s own buffers and leaves the bytes around them alone', async () => {
  const shared = options();
  const tensors = byteTensors([1000, 3000]);
  await using seed = await seedTensors(tensors, shared);
  const whole = new Uint8Array(8192).fill(0xee);
  const region = await Region.allocate(8192n);
  const result = await pull({
    ...shared,
    into: {
      kind: 'tensors',
      tensors: [
        { name: 'tensor.0', dtype: 'U8', shape: [1000], data: whole.subarray(100, 1100) },
        { name: 'tensor.1', data: { region, offset: 5000n, byteLength: 3000n } },
      ],
    },
  });
  assert.equal(result.tensors, 2);
  assert.deepEqual(whole.subarray(100, 1100), tensors[0]?.data);
  assert.ok(whole.subarray(0, 100).every((byte) => byte === 0xee) && whole.subarray(1100).every((byte) => byte === 0xee));
  assert.deepEqual(region.view(5000n, 3000), tensors[1]?.data);
  assert.ok(region.view(0n, 5000).every((byte) => byte === 0));
  await seed.close();
});

test('what the target expects is compared before anything is read', async () => {
  const shared = options();
  await using _seed = await seedTensors([{ name: 'w', dtype: 'F32', shape: [4, 4], data: new Float32Array(16) }], shared);
  const into = { kind: 'discard' } as const;
  await assert.rejects(
    async () => pull({ ...shared, into, expect: [{ name: 'v' }] }),
    rejectsWith('ERR_TENSOR_MISSING', /tensor v .*not among the 1/),
  );
  await assert.rejects(
    async () => pull({ ...shared, into, expect: [{ name: 'w', bytes: 60n }] }),
    rejectsWith('ERR_TENSOR_SIZE', /60 bytes but has 64/),
  );
  await assert.rejects(
    async () => pull({ ...shared, into, expect: [{ name: 'w', dtype: 'torch.int32' }] }),
    rejectsWith('ERR_TENSOR_DTYPE', /I32 but is F32/),
  );
  await assert.rejects(
    async () => pull({ ...shared, into, expect: [{ name: 'w', shape: [16] }] }),
    rejectsWith('ERR_TENSOR_SHAPE', /\[16\] but is \[4, 4\]/),
  );
  const small = new Uint8Array(10);
  await assert.rejects(
    async () => pull({ ...shared, into: { kind: 'tensors', tensors: [{ name: 'w', data: small }] } }),
    rejectsWith('ERR_TENSOR_SIZE', /10 bytes but has 64/),
  );
  const both = new Uint8Array(100);
  await assert.rejects(
    async () =>
      pull({
        ...shared,
        into: {
          kind: 'tensors',
          tensors: [
            { name: 'w', data: both.subarray(0, 64) },
            { name: 'w', data: both.subarray(10, 74) },
          ],
        },
      }),
    rejectsWith('ERR_INVALID_ARGUMENT', /overlaps/),
  );
});

test('a byte that changed at the seed after it published is found, and nothing is handed over', async () => {
  const shared = options();
  const tensors = byteTensors([100_000, 200_000, 300_000]);
  await using _seed = await seedTensors(tensors, shared);
  const victim = tensors[1]?.data;
  assert.ok(victim);
  victim[123_456] = (victim[123_456] ?? 0) ^ 1;
  await assert.rejects(
    async () => pull({ ...shared, into: { kind: 'memory' } }),
    rejectsWith('ERR_CHECKSUM_MISMATCH', /1 of 3 tensors .* tensor\.1/),
  );
  const unverified = await pull({ ...shared, into: { kind: 'discard' }, verify: false });
  assert.equal(unverified.verified, undefined);
});

test('prepare runs before registration: what is published is what it left', async () => {
  const shared = options();
  const weights = new Uint8Array(4096);
  let prepared = false;
  await using _seed = await seedTensors(
    () => {
      assert.ok(prepared, 'the tensors are asked for after prepare');
      return [{ name: 'w', dtype: 'U8', data: weights }];
    },
    {
      ...shared,
      prepare: () => {
        weights.fill(42);
        prepared = true;
      },
    },
  );
  const into = new Uint8Array(4096);
  await pull({ ...shared, into: { kind: 'tensors', tensors: [{ name: 'w', data: into }] } });
  assert.ok(into.every((byte) => byte === 42));
});

test('an aborted pull ends with ERR_ABORTED in every phase', async () => {
  const shared = options();
  const bytes = 256 << 20;
  const region = await Region.allocate(BigInt(bytes));
  await using _seed = await seedTensors([{ name: 'w', dtype: 'U8', data: { region, offset: 0n, byteLength: BigInt(bytes) } }], shared);
  const folder = await temporaryFolder();
  for (const phase of ['discover', 'prepare', 'connect', 'wire', 'verify', 'write'] as const) {
    const controller = new AbortController();
    const running = pull({
      ...shared,
      into: { kind: 'directory', path: join(folder, 'out') },
      sliceBytes: 1 << 16,
      signal: controller.signal,
    });
    await assert.rejects(
      async () => {
        for await (const progress of running) if (progress.phase === phase) controller.abort(new Error('enough'));
      },
      rejectsWith('ERR_ABORTED', /./),
      `aborted in ${phase}`,
    );
    assert.deepEqual(await readdir(folder), [], `nothing is left after an abort in ${phase}`);
  }
});

test('bad tensors are refused by name', async () => {
  const shared = options();
  const seed = (tensor: object): Promise<unknown> => seedTensors([tensor as never], shared);
  await assert.rejects(
    seed({ name: 'w', dtype: 'F32', shape: [5], data: new Uint8Array(16) }),
    rejectsWith('ERR_INVALID_ARGUMENT', /tensor w has 16 bytes, but F32 \[5\] needs 20/),
  );
  await assert.rejects(seed({ name: 'w', dtype: 'X9', data: new Uint8Array(16) }), rejectsWith('ERR_INVALID_ARGUMENT', /unknown dtype X9/));
  await assert.rejects(
    seed({ name: 'w', dtype: 'U8', data: new Uint8Array(new SharedArrayBuffer(16)) }),
    rejectsWith('ERR_INVALID_ARGUMENT', /SharedArrayBuffer/),
  );
  const region = await Region.allocate(100n);
  await assert.rejects(
    seed({ name: 'w', dtype: 'U8', data: { region, offset: 90n, byteLength: 20n } }),
    rejectsWith('ERR_INVALID_ARGUMENT', /outside of its region of 100 bytes/),
  );
});

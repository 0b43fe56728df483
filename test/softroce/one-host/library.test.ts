/** The library over real verbs, in one process: own buffers, gathering, aborts, lost and refused reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { native } from '#src/native.js';
import { Region } from '#src/region.js';
import { seedTensors, type SeedTensor } from '#src/seed/index.js';
import { pull, type TargetTensor } from '#src/target/index.js';
import { byteTensors, pattern, startServer } from '../../support/cluster.js';

const server = await startServer();
let model = 0;

function options(): { identity: { modelName: string }; server: string; host: string; transport: 'rdma' } {
  return { identity: { modelName: `org/softroce-${String(model++)}` }, server: server.address, host: '127.0.0.1', transport: 'rdma' };
}

test('ArrayBuffers of odd sizes go by RDMA into the caller’s own ArrayBuffers', async () => {
  const shared = options();
  const tensors = byteTensors([1, 4095, 4096, 65_537, 3_000_001, 0]);
  await using seed = await seedTensors(tensors, shared);
  assert.deepEqual(seed.summary.transports, ['rdma']);
  const targets: TargetTensor[] = tensors.map(({ name, data }) => ({ name, dtype: 'U8', data: new Uint8Array(data.length) }));
  const result = await pull({ ...shared, into: { kind: 'tensors', tensors: targets } });
  assert.equal(result.transport, 'rdma');
  for (const [index, target] of targets.entries()) assert.deepEqual(target.data, tensors[index]?.data, target.name);
});

test('neighbours at the seed that are strangers at the target are gathered into shared reads', async () => {
  const shared = options();
  const count = 512;
  const size = 8192;
  const region = await Region.allocate(BigInt(count * size));
  region.view().set(pattern(count * size, 3));
  const part = (index: number): SeedTensor['data'] => ({ region, offset: BigInt(index * size), byteLength: BigInt(size) });
  await using _seed = await seedTensors(
    Array.from({ length: count }, (_, index) => ({ name: `t${String(index)}`, dtype: 'U8', data: part(index) })),
    shared,
  );
  const into = await Region.allocate(BigInt(count * size));
  // A permutation without neighbours: 257 and 512 have no common divisor.
  const place = (index: number): number => ((index * 257) % count) * size;
  const result = await pull({
    ...shared,
    into: {
      kind: 'tensors',
      tensors: Array.from({ length: count }, (_, index) => ({
        name: `t${String(index)}`,
        data: { region: into, offset: BigInt(place(index)), byteLength: BigInt(size) },
      })),
    },
  });
  const limit = Math.min(16, ...(await native().listDevices()).map((port) => port.maxSge));
  assert.equal(result.workRequests, count / limit, `${String(limit)} tensors a read`);
  for (let index = 0; index < count; index++) {
    assert.deepEqual(into.view(BigInt(place(index)), size), region.view(BigInt(index * size), size), `t${String(index)}`);
  }
});

test('an abort in the wire phase drains the queue pairs and leaves nothing registered', async () => {
  const shared = options();
  const bytes = 64 << 20;
  const region = await Region.allocate(BigInt(bytes));
  await using _seed = await seedTensors([{ name: 'w', dtype: 'U8', data: { region, offset: 0n, byteLength: BigInt(bytes) } }], shared);
  const controller = new AbortController();
  const running = pull({ ...shared, into: { kind: 'discard' }, signal: controller.signal });
  let abortedAt = 0;
  await assert.rejects(
    async () => {
      for await (const { phase, bytes: done } of running) {
        if (phase !== 'wire' || done === 0n || abortedAt > 0) continue;
        abortedAt = performance.now();
        controller.abort();
      }
    },
    (error) => error instanceof WeightcastError && error.code === 'ERR_ABORTED',
  );
  assert.ok(abortedAt > 0, 'the abort came while bytes were on the wire');
  const again = await pull({ ...shared, into: { kind: 'discard' } });
  assert.equal(again.bytes, BigInt(bytes), 'the same seed serves the next target');
});

test('a seed that closed while it is read is an error of its own, not a wrong byte', async () => {
  const shared = options();
  const bytes = 256 << 20;
  const region = await Region.allocate(BigInt(bytes));
  // The pull holds a lease; this seed does not wait for it.
  const tensors = [{ name: 'w', dtype: 'U8', data: { region, offset: 0n, byteLength: BigInt(bytes) } }];
  const seed = await seedTensors(tensors, { ...shared, drainTimeoutMs: 0 });
  const running = pull({ ...shared, into: { kind: 'discard' } });
  let closing: Promise<void> | undefined;
  await assert.rejects(
    async () => {
      for await (const { phase, bytes: done } of running) if (phase === 'wire' && done > 0n) closing ??= seed.close();
    },
    (error) => {
      assert.ok(error instanceof WeightcastError);
      assert.ok(['ERR_PEER_LOST', 'ERR_REMOTE_ACCESS'].includes(error.code), error.code);
      return true;
    },
  );
  await closing;
});

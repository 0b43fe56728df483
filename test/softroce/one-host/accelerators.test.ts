/** The ladder over real verbs, with stand-ins for a GPU's driver and for NICs that know its memory: each way, both sides, byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DevicePathChoice } from '#src/device/path.js';
import { Region } from '#src/region.js';
import { seedTensors, type SeedOptions } from '#src/seed/index.js';
import { pull } from '#src/target/index.js';
import { pattern, startServer } from '../../support/cluster.js';
import { useStandins } from '../../support/standin.js';

useStandins({ dmabuf: 1, peermem: 1 });
const server = await startServer();
const bytes = pattern(5_000_001, 11);
const source = await Region.allocateOn({ cuda: 0 }, BigInt(bytes.length));
await source.write(0n, bytes);
let model = 0;

function options(devicePath: DevicePathChoice, transport: 'auto' | 'rdma'): SeedOptions & { server: string; transport: 'auto' | 'rdma' } {
  return { identity: { modelName: `org/ladder-${String(model++)}` }, server: server.address, host: '127.0.0.1', transport, devicePath };
}

const tensors = [
  { name: 'a', dtype: 'U8', data: { region: source, offset: 1n, byteLength: 3_000_000n } },
  { name: 'b', dtype: 'U8', data: { region: source, offset: 3_500_000n, byteLength: 1_500_001n } },
];

for (const [way, path] of [
  ['auto', 'dma-buf'],
  ['dma-buf', 'dma-buf'],
  ['peer-memory', 'peer-memory'],
  ['staging', 'staging'],
] as const) {
  test(`${way}: RDMA READ from cuda:0 into cuda:1 by ${path}`, async () => {
    const shared = options(way, way === 'staging' ? 'rdma' : 'auto');
    await using seed = await seedTensors(tensors, shared);
    const { summary } = seed;
    assert.deepEqual(summary.deviceMemory, { devices: ['cuda:0'], path, reason: '' });
    assert.deepEqual(summary.transports, ['rdma']);
    assert.equal(summary.backing, path === 'staging' ? 'copied' : 'device');
    assert.equal(
      summary.notes.some((note) => note.includes('are read by RDMA only')),
      path !== 'staging',
    );
    const result = await pull({ ...shared, into: { kind: 'memory', on: { cuda: 1 } } });
    assert.deepEqual(result.deviceMemory, { devices: ['cuda:1'], path, reason: '' });
    assert.deepEqual([result.transport, result.verified?.tensors], ['rdma', 2]);
    assert.ok(result.output.kind === 'memory');
    for (const { name, offset, bytes: length } of result.output.tensors) {
      const landed = new Uint8Array(Number(length));
      await result.output.region.read(offset, landed);
      const start = name === 'a' ? 1 : 3_500_000;
      assert.ok(Buffer.from(landed).equals(bytes.subarray(start, start + landed.length)), name);
    }
    result.output.region.close();
  });
}

test('a target without RDMA is told what a seed of an accelerator offers', async () => {
  const shared = options('auto', 'auto');
  await using _seed = await seedTensors(tensors, shared);
  const over = pull({ ...shared, transport: 'tcp', into: { kind: 'discard' } });
  await assert.rejects(Promise.resolve(over), { code: 'ERR_TRANSPORT_UNAVAILABLE', message: /offers rdma only/ });
});

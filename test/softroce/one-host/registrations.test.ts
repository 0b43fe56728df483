/** Many ranges registered together, on a real device. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { closeRails, openRails } from '#src/rails.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { pull, type TargetTensor } from '#src/target/index.js';
import { byteTensors, startServer } from '../../support/cluster.js';
import { device } from '../../support/softroce.js';

/** Memory regions that the kernel has for the first device. */
function registered(): number {
  const { stdout } = spawnSync('rdma', ['-j', 'resource', 'show', device(0)], { encoding: 'utf8' });
  const [resources] = JSON.parse(stdout) as { mr: number }[];
  assert.notEqual(resources?.mr, undefined, stdout);
  return resources!.mr;
}

const columns = (
  rows: readonly (readonly [region: number, offset: bigint, length: bigint])[],
): [Uint32Array, BigUint64Array, BigUint64Array] => [
  Uint32Array.from(rows, ([region]) => region),
  BigUint64Array.from(rows, ([, offset]) => offset),
  BigUint64Array.from(rows, ([, , length]) => length),
];

test('ranges of several regions get a key each, and all go with one close', async () => {
  const rails = await openRails({ transport: 'rdma', devices: [device(0)] });
  const [nic] = rails.nics;
  const regions = [await Region.allocate(1n << 20n), await Region.allocate(1n << 20n)];
  const handles = regions.map(({ handle }) => handle);
  const before = registered();
  const rows = Array.from({ length: 300 }, (_, index) => [index % 2, BigInt(index * 3000), 2999n] as const);
  const made = await nic!.registerAll(handles, ...columns(rows), 'auto');
  assert.equal(registered(), before + rows.length);
  assert.equal(new Set(made.remoteKeys).size, rows.length);
  assert.deepEqual(made.paths, ['host']);
  await made.close();
  await made.close();
  assert.equal(registered(), before);
  for (const region of regions) region.close();
  await closeRails(rails);
});

test('what cannot be registered is refused as a whole', async () => {
  const rails = await openRails({ transport: 'rdma', devices: [device(0)] });
  const nic = rails.nics[0]!;
  const region = await Region.allocate(8192n);
  // Linux pins no read-only shared mapping; its row is the last.
  const file = await Region.mapFile(process.execPath, 0n, 8192n);
  const before = registered();
  const fine = [0, 0n, 4096n] as const;
  await assert.rejects(nic.registerAll([region.handle], ...columns([fine, [0, 4096n, 4097n]]), 'auto'), { nativeCode: 'OUT_OF_RANGE' });
  await assert.rejects(nic.registerAll([region.handle], ...columns([fine, [1, 0n, 1n]]), 'auto'), { nativeCode: 'INVALID_ARGUMENT' });
  await assert.rejects(nic.registerAll([region.handle], ...columns([[0, 0n, 0n]]), 'auto'), { nativeCode: 'INVALID_ARGUMENT' });
  const [which, offset] = columns([fine, fine]);
  await assert.rejects(nic.registerAll([region.handle], which, offset, new BigUint64Array(1), 'auto'), { nativeCode: 'INVALID_ARGUMENT' });
  await assert.rejects(nic.registerAll([region.handle, file.handle], ...columns([fine, [1, 0n, 4096n]]), 'auto'), {
    nativeCode: 'REGISTRATION',
  });
  assert.equal(registered(), before);
  region.close();
  file.close();
  await closeRails(rails);
});

test('3 000 buffers of their own are registered, read and let go', async () => {
  const server = await startServer();
  const shared = { identity: { modelName: 'org/scattered' }, server: server.address, host: '127.0.0.1', transport: 'rdma' } as const;
  const tensors = byteTensors(Array.from({ length: 3000 }, (_, index) => 1 + (index % 700)));
  const before = registered();
  const seed = await seedTensors(tensors, shared);
  assert.equal(seed.summary.registrations, tensors.length);
  assert.equal(registered(), before + tensors.length);
  const targets: TargetTensor[] = tensors.map(({ name, data }) => ({ name, dtype: 'U8', data: new Uint8Array(data.length) }));
  const result = await pull({ ...shared, into: { kind: 'tensors', tensors: targets } });
  assert.equal(result.transport, 'rdma');
  for (const [index, target] of targets.entries()) assert.deepEqual(target.data, tensors[index]?.data, target.name);
  await seed.close();
  assert.equal(registered(), before);
});

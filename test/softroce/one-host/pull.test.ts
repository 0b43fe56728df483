/** A model from one process to another by RDMA READ over two rails of one host. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readHeader } from '#src/model/safetensors.js';
import { qwen } from '../../support/fixtures.js';
import { assertSameModel } from '../../support/models.js';
import { pull, seed, serve, summaryOf } from '../../support/roles.js';

const identity = ['--model-name', 'Qwen/Qwen2.5-7B', '--framework', 'sglang', '--tp', '1', '--dtype', 'bfloat16'];

test('Qwen2.5-7B BF16 TP=1: published, discovered and read by RDMA over both rails, equal byte for byte', async (t) => {
  const { role: server, address } = await serve();
  const { role, ready } = await seed(qwen, ['--server', address, ...identity, '--transport', 'rdma', '--host', '127.0.0.1']);
  assert.deepEqual(ready['transports'], ['rdma']);
  assert.deepEqual(ready['devices'], ['rxe0', 'rxe1']);
  assert.deepEqual(ready['softwareDevices'], ['rxe0', 'rxe1'], 'Soft-RoCE is never presented as RDMA hardware');
  assert.equal(ready['tensors'], 339);
  t.diagnostic(`weights are ${String(ready['backing'])}: ${String(ready['copiedBecause'])}`);

  const out = join(await mkdtemp('/tmp/weightcast-'), 'copy');
  const summary = summaryOf(await pull(['--server', address, ...identity, '--transport', 'rdma', '--host', '127.0.0.1', '--out', out]));
  assert.equal(summary.transport, 'rdma');
  assert.equal(summary.transportReason, '');
  assert.equal(summary.software, true);
  assert.equal(summary.tensors, 339);
  assert.equal(summary.verified?.tensors, 339);
  assert.equal(summary.registrations, 1, 'one memory region a device, whatever the number of tensors');
  assert.deepEqual(summary.lanes.map((lane) => lane.name).sort(), ['rxe0>rxe0', 'rxe1>rxe1']);
  for (const lane of summary.lanes)
    assert.ok(lane.bytes > summary.bytes * 0.2, `${lane.name} carried ${String(lane.bytes)} of ${String(summary.bytes)} bytes`);
  // Lanes cut slices on a busy machine; what is not the end of something is no smaller than they say.
  const least = Math.min(1e6, ...summary.lanes.flatMap(({ smallestReadBytes }) => smallestReadBytes ?? []));
  assert.ok(summary.workRequests < summary.bytes / least + 60, `${String(summary.workRequests)} reads of ${String(least)} bytes and more`);
  await assertSameModel(qwen, out);
  t.diagnostic(
    `${String(summary.bytes)} bytes in ${String(summary.workRequests)} reads, ${summary.wireGBps.toFixed(3)} GB/s, phases ${JSON.stringify(summary.phases)}`,
  );

  const shm = summaryOf(
    await pull(['--server', address, ...identity, '--transport', 'rdma', '--host', '127.0.0.1', '--shm', 'weightcast-test']),
  );
  assert.equal(shm.transport, 'rdma');
  const original = await readHeader(join(qwen, 'model.safetensors'));
  const shared = await readHeader('/dev/shm/weightcast-test');
  assert.deepEqual(shared.tensors.map((tensor) => tensor.name).sort(), original.tensors.map((tensor) => tensor.name).sort());
  const bytes = await readFile('/dev/shm/weightcast-test');
  const expected = await readFile(join(qwen, 'model.safetensors'));
  for (const tensor of shared.tensors) {
    const source = original.tensors.find((candidate) => candidate.name === tensor.name);
    assert.ok(source);
    const at = Number(shared.dataOffset + tensor.offset);
    const from = Number(original.dataOffset + source.offset);
    assert.ok(bytes.subarray(at, at + Number(tensor.bytes)).equals(expected.subarray(from, from + Number(source.bytes))), tensor.name);
  }

  const ended = await role.stop();
  assert.equal(ended.code, 143);
  await server.stop();
});

test('an RDMA seed also serves TCP to a target that asks for it, which says that it was asked for', async () => {
  const { role: server, address } = await serve();
  const { role } = await seed(qwen, [
    '--server',
    address,
    '--model-name',
    'both',
    '--transport',
    'auto',
    '--no-local',
    '--host',
    '127.0.0.1',
    '--device',
    'rxe1',
  ]);
  const base = ['--server', address, '--model-name', 'both', '--host', '127.0.0.1', '--discard'];
  const tcp = summaryOf(await pull([...base, '--transport', 'tcp']));
  assert.equal(tcp.transport, 'tcp');
  assert.match(tcp.transportReason, /asked for/);
  const auto = summaryOf(await pull(base));
  assert.equal(auto.transport, 'rdma');
  assert.deepEqual(
    auto.lanes.map((lane) => lane.name.split('>')[1]),
    ['rxe1'],
  );
  await role.stop();
  await server.stop();
});

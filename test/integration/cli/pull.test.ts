/** serve, seed and pull as separate processes over TCP. */
import assert from 'node:assert/strict';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateModel } from '#src/model/generate.js';
import { readHeader } from '#src/model/safetensors.js';
import { deepseekV3, qwen2_5_7b } from '#src/model/shapes/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { assertSameModel } from '../../support/models.js';
import { pull, Role, seed, serve, summaryOf } from '../../support/roles.js';

const folder = await temporaryFolder();
const tcp = ['--transport', 'tcp', '--host', '127.0.0.1'];

test('a sharded model arrives file for file; stopping the seed marks it STALE', async () => {
  const model = join(folder, 'qwen');
  await generateModel(model, qwen2_5_7b({ scale: 24 }), { maxFileBytes: 8e6 });
  const { role: server, address } = await serve();
  const base = ['--server', address, '--model-name', 'Qwen/Qwen2.5-7B', '--dtype', 'bfloat16'];
  const { role, ready } = await seed(model, [...base, ...tcp]);
  assert.equal(ready['backing'], 'mapped', 'TCP serves straight from the page cache');

  const out = join(folder, 'copy');
  const summary = summaryOf(await pull([...base, ...tcp, '--out', out]));
  assert.equal(summary.transport, 'tcp');
  assert.equal(summary.tensors, 339);
  assert.equal(summary.verified?.bytes, summary.bytes);
  assert.equal(summary.lanes.length, 4);
  await assertSameModel(model, out);

  const auto = summaryOf(await pull([...base, '--host', '127.0.0.1', '--discard']));
  assert.equal(auto.transport, 'tcp');
  assert.notEqual(auto.transportReason, '', 'a machine without RDMA says why');

  const listed = await new Role(['sources', '--server', address]).ended;
  assert.match(JSON.stringify(listed.printed), /READY/);
  const stopped = await role.stop('SIGINT');
  assert.equal(stopped.code, 130);
  assert.equal(stopped.printed.at(-1)?.['event'], 'stopped');
  const after = await new Role(['sources', '--server', address]).ended;
  assert.match(JSON.stringify(after.printed), /STALE/);
  assert.equal((await server.stop()).code, 143);
});

test('--shm leaves one valid safetensors file with every tensor', async () => {
  const model = join(folder, 'shm-model');
  await generateModel(model, qwen2_5_7b({ scale: 64 }), { maxFileBytes: 1e6 });
  const { role: server, address } = await serve();
  const { role } = await seed(model, ['--server', address, '--model-name', 'shm', ...tcp]);
  const name = `weightcast-test-${String(process.pid)}`;
  try {
    const summary = summaryOf(await pull(['--server', address, '--model-name', 'shm', ...tcp, '--shm', name]));
    const file = await readHeader(`/dev/shm/${name}`);
    assert.equal(file.tensors.length, 339);
    assert.equal(Number(file.dataBytes), summary.bytes);
    assert.equal(file.dataOffset % 4096n, 0n, 'the data section starts on a page');
    const { mode } = await stat(`/dev/shm/${name}`);
    assert.equal(mode & 0o077, 0, 'weights are not for everybody');
    const index = JSON.parse(await readFile(join(model, 'model.safetensors.index.json'), 'utf8')) as { weight_map: Record<string, string> };
    for (const tensor of file.tensors) assert.ok(tensor.name in index.weight_map, tensor.name);
  } finally {
    await rm(`/dev/shm/${name}`, { force: true });
  }
  await role.stop();
  await server.stop();
});

test('DeepSeek-V3 FP8 TP=8: eight seeds and eight targets are matched by rank through one server', async () => {
  const { role: server, address } = await serve();
  const base = [
    '--server',
    address,
    '--model-name',
    'deepseek-ai/DeepSeek-V3',
    '--tp',
    '8',
    '--dtype',
    'float8_e4m3fn',
    '--quantization',
    'fp8',
    ...tcp,
  ];
  const ranks = [0, 1, 2, 3, 4, 5, 6, 7];
  const model = (rank: number): string => join(folder, `deepseek-rank${String(rank)}`);
  for (const rank of ranks)
    await generateModel(model(rank), deepseekV3({ tp: 8, rank, scale: 64, layers: 4, experts: 16 }), { seed: rank });
  const seeds = await Promise.all(ranks.map((rank) => seed(model(rank), [...base, '--rank', String(rank)])));
  assert.equal(new Set(seeds.map(({ ready }) => ready['sourceId'])).size, 1, 'one identity');
  const results = await Promise.all(
    ranks.map((rank) => pull([...base, '--rank', String(rank), '--out', join(folder, `copy-rank${String(rank)}`)])),
  );
  for (const [index, ended] of results.entries()) {
    const summary = summaryOf(ended);
    assert.equal(summary.rank, index);
    assert.equal(summary.verified?.tensors, summary.tensors);
    await assertSameModel(model(index), join(folder, `copy-rank${String(index)}`));
  }
  const header = await readHeader(join(model(0), 'model.safetensors'));
  const fp8 = header.tensors.filter((tensor) => tensor.dtype === 'F8_E4M3');
  assert.ok(fp8.length > 0);
  for (const { name } of fp8)
    assert.ok(
      header.tensors.some((tensor) => tensor.name === `${name}_scale_inv`),
      `${name} has its scales`,
    );
  for (const { role } of seeds) role.process.kill('SIGTERM');
  for (const { role } of seeds) await role.ended;
  await server.stop();
});

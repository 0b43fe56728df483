/** The second half of the test plan of the system that Weightcast follows: a tensor-parallel FP8 model, matched by rank. */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BackendFramework } from '#src/gen/model_express/p2p.js';
import { seedModel } from '#src/seed/index.js';
import { pull } from '#src/target/index.js';
import { startServer } from '../../support/cluster.js';
import { deepseekRank, deepseekRanks } from '../../support/fixtures.js';
import { assertSameModel } from '../../support/models.js';

test('DeepSeek-V3 FP8 TP=8: eight seeds and eight targets are matched by rank and read by RDMA at once', async (t) => {
  const server = await startServer();
  const shared = {
    identity: {
      modelName: 'deepseek-ai/DeepSeek-V3',
      backendFramework: BackendFramework.BACKEND_FRAMEWORK_SGLANG,
      tensorParallelSize: 8,
      dtype: 'float8_e4m3fn',
      quantization: 'fp8',
    },
    server: server.address,
    host: '127.0.0.1',
    transport: 'rdma',
  } as const;
  const seeds = await Promise.all(deepseekRanks.map((rank) => seedModel(deepseekRank(rank), { ...shared, rank })));
  try {
    assert.equal(new Set(seeds.map((seed) => seed.sourceId)).size, 1, 'one identity');
    const folder = await mkdtemp('/tmp/weightcast-ranks-');
    const results = await Promise.all(
      deepseekRanks.map(async (rank) => pull({ ...shared, rank, into: { kind: 'directory', path: join(folder, String(rank)) } })),
    );
    for (const [rank, result] of results.entries()) {
      assert.equal(result.rank, rank);
      assert.equal(result.workerId, seeds[rank]?.summary.workerId);
      assert.equal(result.transport, 'rdma');
      assert.equal(result.verified?.tensors, result.tensors);
      await assertSameModel(deepseekRank(rank), join(folder, String(rank)));
    }
    const bytes = results.reduce((sum, result) => sum + result.bytes, 0n);
    t.diagnostic(`${String(bytes)} bytes of ${String(results.reduce((sum, result) => sum + result.tensors, 0))} tensors, 8 ranks at once`);
  } finally {
    for (const seed of seeds) await seed.close();
  }
});

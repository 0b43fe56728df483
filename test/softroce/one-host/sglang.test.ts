/** SGLang's loader over RDMA: a real model from our seed, and from it to us. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { BackendFramework } from '#src/gen/model_express/p2p.js';
import { mirror } from '#src/mirror/index.js';
import { seedModel } from '#src/seed/index.js';
import { pull } from '#src/target/index.js';
import { whySkip as whyNoModelExpress } from '../../integration/modelexpress/peer.js';
import { startServer } from '../../support/cluster.js';
import { realModel } from '../../support/fixtures.js';
import { environment } from '../../support/mooncake/rdma.js';
import { SglangRank, whySkip } from '../../support/sglang/rank.js';

const model = await realModel();
const skip = model === undefined ? 'there is no model: WEIGHTCAST_PYTHON does not name the Python of the tests' : whySkip();
if (skip !== false) console.log(`skipped: ${skip}`);

const folder = model ?? '';
const host = '127.0.0.1';

function start(): Promise<SglangRank> {
  return SglangRank.start({ folder, host, protocol: 'rdma', env: environment });
}

describe('SGLang over RDMA', { skip }, () => {
  test('a target loads a model from our seed, and computes the same', async () => {
    const identity = { modelName: 'softroce/sglang' };
    await using seed = await seedModel(folder, { identity, host, transport: 'rdma', sglang: { port: 0 } });
    assert.deepEqual(seed.summary.transports, ['rdma']);
    const target = await start();
    assert.equal(await target.loadFrom(seed.summary.sglang?.url ?? '', 0), seed.summary.tensors);
    assert.deepEqual(await target.contents(), await target.contentsOf());
  });

  test('we pull a model from its ModelExpress loader', { skip: whyNoModelExpress() }, async () => {
    const server = await startServer();
    const source = await start();
    const theirs = { modelName: 'softroce/sglang', backendFramework: 'BACKEND_FRAMEWORK_SGLANG' };
    assert.equal(await source.loadThroughModelExpress(server.address, theirs, 2, 'sglang-2'), 'checkpoint');
    const result = await pull({
      identity: { modelName: theirs.modelName, backendFramework: BackendFramework.BACKEND_FRAMEWORK_SGLANG },
      server: server.address,
      rank: 2,
      host,
      transport: 'rdma',
      waitMs: 60_000,
      into: { kind: 'memory' },
    });
    assert.equal(result.transport, 'rdma');
    const { output } = result;
    assert.ok(output.kind === 'memory');
    const sums = output.tensors.map(({ name, offset, bytes }) => {
      const digest = createHash('sha256')
        .update(output.region.view(offset, Number(bytes)))
        .digest('hex');
      return [name, digest] as const;
    });
    assert.deepEqual(Object.fromEntries(sums), await source.sha256s());
  });
  test('a mirror of its loader outlives it: another rank loads all of it from the mirror', { skip: whyNoModelExpress() }, async () => {
    const server = await startServer();
    const source = await start();
    const theirs = { modelName: 'softroce/mirrored', backendFramework: 'BACKEND_FRAMEWORK_SGLANG' };
    assert.equal(await source.loadThroughModelExpress(server.address, theirs, 0, 'sglang-0'), 'checkpoint');
    await using mirrored = await mirror({
      identity: { modelName: theirs.modelName, backendFramework: BackendFramework.BACKEND_FRAMEWORK_SGLANG },
      server: server.address,
      host,
      transport: 'rdma',
      // Through ModelExpress SGLang's loader says no dtypes, which another rank asks the mirror for.
      source: { waitMs: 60_000, like: folder },
      sglang: { port: 0 },
    });
    assert.equal(mirrored.summary.source.transport, 'rdma');
    assert.equal(mirrored.summary.source.verified?.bytesReadTwice, mirrored.summary.bytes, 'its loader publishes no checksums');
    const expected = await source.contentsOf();
    await source.peer.kill();
    const target = await start();
    assert.equal(await target.loadFrom(mirrored.summary.sglang?.url ?? '', 0), mirrored.summary.tensors);
    assert.deepEqual(await target.contents(), expected);
  });
});

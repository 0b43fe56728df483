/** SGLang through ModelExpress: the loader of the package `modelexpress` 0.7.0 finds our seeds, and we find its sources. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryFolder } from '../../support/cluster.js';
import { realModel } from '../../support/fixtures.js';
import { pull, seed, serve, summaryOf } from '../../support/roles.js';
import { SglangRank, whySkip } from '../../support/sglang/rank.js';
import { whySkip as whyNoModelExpress } from '../modelexpress/peer.js';

const model = await realModel();
const skip =
  model === undefined ? 'there is no model: WEIGHTCAST_PYTHON does not name the Python of the tests' : whySkip() || whyNoModelExpress();
if (skip !== false) console.log(`skipped: ${skip}`);

const folder = model ?? '';
const env = { MC_FORCE_TCP: '1' };
const local = ['--host', '127.0.0.1', '--transport', 'tcp'];

/** What SGLang 0.7.0's adapter says of a model without parallelism, and how our command line says the same. */
const identity = {
  mxVersion: '0.7.0',
  modelName: 'sentence-transformers/all-MiniLM-L6-v2',
  backendFramework: 'BACKEND_FRAMEWORK_SGLANG',
  tensorParallelSize: 1,
  pipelineParallelSize: 1,
  expertParallelSize: 1,
  dtype: 'float32',
};
const flags = [
  ...['--model-name', identity.modelName, '--mx-version', identity.mxVersion, '--framework', 'sglang'],
  ...['--tp', '1', '--pp', '1', '--ep', '1', '--dtype', identity.dtype],
];

function start(): Promise<SglangRank> {
  return SglangRank.start({ folder, env });
}

describe('SGLang through ModelExpress', { skip }, () => {
  test('its loader loads a model from our seed, and computes the same', async () => {
    const { address } = await serve();
    await seed(folder, ['--server', address, '--rank', '1', ...flags, ...local]);
    const target = await start();
    const expected = await target.contentsOf();
    assert.notDeepEqual(await target.sha256s(), expected.sha256s, 'it has no weights yet');
    assert.equal(await target.loadThroughModelExpress(address, identity, 1, 'target-1'), 'source', target.peer.log);
    assert.deepEqual(await target.contents(), expected);
  });

  test('we pull the model from its loader, and compute the same', async () => {
    const { address } = await serve();
    const source = await start();
    assert.equal(await source.loadThroughModelExpress(address, identity, 0, 'sglang-0'), 'checkpoint');
    const out = join(await temporaryFolder(), 'model');
    // Its publisher tells the server in a thread of its own.
    const args = ['--server', address, ...flags, ...local, '--wait', '30'];
    const discarded = summaryOf(await pull([...args, '--discard']));
    assert.deepEqual([discarded.tensors, discarded.transport], [104, 'tcp']);
    summaryOf(await pull([...args, '--out', out]));
    assert.deepEqual(await source.contentsOf(join(out, 'model.safetensors')), await source.contentsOf());
  });
});

/** Mirrors of what SGLang serves: the instance is killed, and SGLang's own loader reads the model from the mirror, in both ways. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MetadataClient, SourceStatus } from '#src/index.js';
import { realModel } from '../../support/fixtures.js';
import { Role, errorOf, serve } from '../../support/roles.js';
import { SglangRank, whySkip } from '../../support/sglang/rank.js';
import { whySkip as whyNoModelExpress } from '../modelexpress/peer.js';
import { mirrorProcess, tcp } from './support.js';

const model = await realModel();
const skip = model === undefined ? 'there is no model: WEIGHTCAST_PYTHON does not name the Python of the tests' : whySkip();
if (skip !== false) console.log(`skipped: ${skip}`);

const folder = model ?? '';
const env = { MC_FORCE_TCP: '1' };
const tensors = 104;

describe('a mirror of an SGLang instance', { skip }, () => {
  test('answers in its place at an HTTP port: a target loads the model and computes the same', async () => {
    const theirs = await SglangRank.start({ folder, env });
    const { url } = await theirs.serve(0);
    const args = ['--from-sglang', url, '--model-name', 'org/minilm', '--sglang-port', '0', ...tcp];
    const bad = await new Role(['mirror', ...args, '--selector', 'random']).ended;
    assert.match(errorOf(bad, 2).message, /--from-sglang.* cannot be used with .*--selector/);
    const { role, ready } = await mirrorProcess(args);
    assert.deepEqual([ready.tensors, ready.manifest, ready.source.origin], [tensors, 'none', { kind: 'sglang', url }]);
    assert.equal(ready.source.verified?.bytesReadTwice, ready.bytes);
    await theirs.peer.kill();

    const target = await SglangRank.start({ folder, env });
    const expected = await target.contentsOf();
    assert.notDeepEqual(await target.sha256s(), expected.sha256s, 'it has no weights yet');
    assert.equal(await target.loadFrom(ready.sglang?.url ?? '', 0), tensors);
    assert.deepEqual(await target.contents(), expected);
    assert.equal((await role.stop()).code, 143);
  });

  test('is found through ModelExpress when it is gone', { skip: whyNoModelExpress() }, async () => {
    const { address } = await serve();
    // What SGLang's adapter of ModelExpress 0.7.0 says of a model without parallelism, and the same as flags.
    const identity = {
      ...{ mxVersion: '0.7.0', modelName: 'sentence-transformers/all-MiniLM-L6-v2', backendFramework: 'BACKEND_FRAMEWORK_SGLANG' },
      ...{ tensorParallelSize: 1, pipelineParallelSize: 1, expertParallelSize: 1, dtype: 'float32' },
    };
    const flags = ['--model-name', identity.modelName, '--mx-version', '0.7.0', '--framework', 'sglang', '--dtype', 'float32'];
    const sizes = ['--tp', '1', '--pp', '1', '--ep', '1'];
    const theirs = await SglangRank.start({ folder, env });
    assert.equal(await theirs.loadThroughModelExpress(address, identity, 0, 'sglang-0'), 'checkpoint');
    // Its publisher tells the server in a thread of its own.
    const { role, ready } = await mirrorProcess(['--server', address, ...flags, ...sizes, ...tcp, '--wait', '30', '--worker-id', 'mirror']);
    assert.deepEqual([ready.tensors, ready.source.workerId], [tensors, 'sglang-0']);
    await theirs.peer.kill();
    // What the server finds out by itself after 90 s of silence.
    await using client = new MetadataClient(address);
    const gone = { mxSourceId: ready.sourceId, workerId: 'sglang-0', workerRank: 0, status: SourceStatus.SOURCE_STATUS_STALE };
    await client.updateStatus(gone);

    const target = await SglangRank.start({ folder, env });
    const expected = await target.contentsOf();
    assert.equal(await target.loadThroughModelExpress(address, identity, 0, 'target'), 'source', target.peer.log);
    assert.deepEqual(await target.contents(), expected);
    await role.stop();
  });
});

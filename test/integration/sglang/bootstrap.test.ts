/** SGLang without a metadata server: its loader reads a real model from our seeds, found by HTTP. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryFolder } from '../../support/cluster.js';
import { realModel } from '../../support/fixtures.js';
import { pull, seed, summaryOf } from '../../support/roles.js';
import { SglangRank, whySkip } from '../../support/sglang/rank.js';

const model = await realModel();
const skip = model === undefined ? 'there is no model: WEIGHTCAST_PYTHON does not name the Python of the tests' : whySkip();
if (skip !== false) console.log(`skipped: ${skip}`);

const folder = model ?? '';
const env = { MC_FORCE_TCP: '1' };
const local = ['--host', '127.0.0.1', '--transport', 'tcp'];

function start(): Promise<SglangRank> {
  return SglangRank.start({ folder, env });
}

/** `sglang` of what a seed printed. */
function found(ready: Readonly<Record<string, unknown>>): { readonly url: string; readonly registeredAt: string } {
  return ready['sglang'] as { url: string; registeredAt: string };
}

describe('the bootstrap of SGLang', { skip }, () => {
  test('a target loads a model from our seed, and computes the same', async () => {
    const { role, ready } = await seed(folder, ['--sglang-port', '0', ...local]);
    assert.equal(ready['manifest'], 'none');
    const { url } = found(ready);
    const target = await start();
    const expected = await target.contentsOf();
    assert.notDeepEqual(await target.sha256s(), expected.sha256s, 'it has no weights yet');
    assert.equal(await target.loadFrom(url, 0), 104);
    assert.deepEqual(await target.contents(), expected);

    await assert.rejects(target.loadFrom(url, 1), /HTTP Error 404/);
    const { code } = await role.stop();
    assert.equal(code, 143);
    await assert.rejects(target.loadFrom(url, 0), /refused/);
  });

  test('one port answers for the ranks of a host, ours and SGLang’s own', async () => {
    const head = await seed(folder, ['--sglang-port', '0', ...local]);
    const { url } = found(head.ready);
    const second = await seed(folder, ['--sglang-register', url, '--rank', '1', ...local]);
    assert.deepEqual(found(second.ready), { url: '', registeredAt: url });
    const theirs = await start();
    await theirs.loadFromCheckpoint();
    assert.deepEqual(await theirs.publish(url, 2), [200, 'OK']);
    assert.deepEqual((await theirs.publish(url, 0))[0], 409, 'nobody takes our own rank over');

    for (const rank of [1, 2]) {
      const target = await start();
      assert.equal(await target.loadFrom(url, rank), 104);
      assert.deepEqual(await target.contents(), await target.contentsOf(), `rank ${rank}`);
    }
    await second.role.stop();
    await assert.rejects(theirs.loadFrom(url, 1), /HTTP Error 404/, 'a seed that ends takes its rank back');
  });

  test('our seed is a rank of an instance of SGLang', async () => {
    const head = await start();
    const { bootstrap, url } = await head.serve(0);
    await seed(folder, ['--sglang-register', bootstrap, '--rank', '1', ...local]);
    const target = await start();
    assert.equal(await target.loadFrom(url, 1), 104);
    assert.deepEqual(await target.contents(), await target.contentsOf());
  });

  test('we pull the model from an instance, and compute the same', async () => {
    const source = await start();
    const { url } = await source.serve(0);
    const expected = await source.contentsOf();
    const folders = await temporaryFolder();

    const flat = summaryOf(await pull(['--from-sglang', url, '--rank', '0', ...local, '--out', join(folders, 'flat')]));
    assert.deepEqual([flat.tensors, flat.transport, flat.verified], [104, 'tcp', undefined]);
    assert.deepEqual(await source.contentsOf(join(folders, 'flat', 'model.safetensors')), expected);

    const dressed = summaryOf(await pull(['--from-sglang', url, ...local, '--like', folder, '--out', join(folders, 'model')]));
    assert.deepEqual([dressed.tensors, dressed.transport], [104, 'tcp']);
    // Of a checkpoint of the same tensors everything but the bytes is taken: the files are its files.
    assert.deepEqual(await readFile(join(folders, 'model', 'model.safetensors')), await readFile(join(folder, 'model.safetensors')));
    assert.deepEqual(await readFile(join(folders, 'model', 'config.json')), await readFile(join(folder, 'config.json')));
  });
});

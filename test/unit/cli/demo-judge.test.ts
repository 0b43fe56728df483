import assert from 'node:assert/strict';
import { copyFile, cp, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { compareModels } from '#src/cli/demo/compare.js';
import { scaleFor } from '#src/cli/demo/model.js';
import { tensorBytes } from '#src/model/dtypes.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';

const specs = [
  { name: 'a.weight', dtype: 'BF16', shape: [1000, 700] },
  { name: 'b.weight', dtype: 'F8_E4M3', shape: [3, 5, 7] },
  { name: 'c.empty', dtype: 'F32', shape: [0] },
  { name: 'd.scalar', dtype: 'F32', shape: [] },
] as const;

describe('the judge of the demo', () => {
  let folder: string;
  let model: string;
  let pulled: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weightcast-judge-'));
    model = join(folder, 'model');
    await generateModel(model, specs, { maxFileBytes: 1_000_000 });
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(async () => {
    pulled = join(folder, 'pulled');
    await rm(pulled, { recursive: true, force: true });
    await cp(model, pulled, { recursive: true });
  });

  /** The weight file that holds the tensor's name. */
  async function fileWith(directory: string, tensor: string): Promise<string> {
    for (const number of [1, 2, 3]) {
      const path = join(directory, `model-0000${String(number)}-of-00002.safetensors`);
      if ((await readFile(path).catch(() => Buffer.alloc(0))).includes(`"${tensor}"`)) return path;
    }
    throw new Error(`no file has ${tensor}`);
  }

  it('finds a copy equal, with every tensor and byte counted', async () => {
    const { tensors, bytes, otherFiles, differences } = await compareModels(model, pulled);
    assert.deepEqual(differences, []);
    assert.equal(tensors, specs.length);
    assert.equal(
      bytes,
      specs.reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0n),
    );
    assert.ok(otherFiles >= 2, 'config.json and the index were compared');
  });

  it('finds one flipped bit, and says where', async () => {
    const path = await fileWith(pulled, 'a.weight');
    const handle = await open(path, 'r+');
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    await handle.read(last, 0, 1, size - 1);
    await handle.write(Buffer.from([(last[0] ?? 0) ^ 1]), 0, 1, size - 1);
    await handle.close();
    const { tensors, differences } = await compareModels(model, pulled);
    assert.equal(tensors, specs.length - 1);
    assert.equal(differences.length, 1);
    assert.match(differences[0] ?? '', /^tensor [a-d]\.\w+ differs at byte \d+$/);
  });

  it('finds a missing file, a tensor too many, and another shape', async () => {
    await rm(await fileWith(pulled, 'a.weight'));
    assert.ok((await compareModels(model, pulled)).differences.includes('tensor a.weight did not arrive'));

    const extra = join(folder, 'extra');
    await rm(extra, { recursive: true, force: true });
    await generateModel(extra, [{ name: 'z', dtype: 'U8', shape: [1] }]);
    await copyFile(join(extra, 'model.safetensors'), join(pulled, 'extra.safetensors'));
    assert.match((await compareModels(model, pulled)).differences[0] ?? '', /^tensor z arrived, but/);

    const path = await fileWith(pulled, 'b.weight');
    const text = (await readFile(path)).toString('latin1').replace('[3,5,7]', '[5,3,7]');
    await writeFile(path, Buffer.from(text, 'latin1'));
    assert.ok((await compareModels(model, pulled)).differences.includes('tensor b.weight has shape [5, 3, 7] and should have [3, 5, 7]'));
  });

  it('finds a changed config.json', async () => {
    await writeFile(join(pulled, 'config.json'), '{}');
    assert.deepEqual((await compareModels(model, pulled)).differences, ["file config.json is not the seed's"]);
  });

  it('fails on a file that is cut short', async () => {
    const path = await fileWith(pulled, 'a.weight');
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    await assert.rejects(compareModels(model, pulled), /the file ends at/);
  });

  it('compares a single file with what came of it', async () => {
    const single = join(folder, 'single');
    await generateModel(single, specs);
    await rm(pulled, { recursive: true });
    await cp(single, pulled, { recursive: true });
    assert.deepEqual((await compareModels(join(single, 'model.safetensors'), pulled)).differences, []);
  });
});

describe('the model of the demo', () => {
  it('comes near the size that was asked for', () => {
    for (const wanted of [1e6, 16e6, 256e6, 2e9, 15_231_233_024]) {
      const bytes = Number(qwen2_5_7b({ scale: scaleFor(wanted) }).reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0n));
      assert.ok(Math.abs(bytes / wanted - 1) < (wanted < 1e7 ? 0.5 : 0.15), `${String(bytes)} for ${String(wanted)}`);
    }
  });
});

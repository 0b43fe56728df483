import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openModel } from '#src/model/model.js';
import { bytesAt, failsWith, fileBytes, temporaryDirectory } from './support.js';

const weights = (...names: string[]): Buffer =>
  fileBytes(Object.fromEntries(names.map((name, index) => [name, bytesAt(index * 4, index * 4 + 4)])), names.length * 4);
const index = (map: Record<string, unknown>): string => JSON.stringify({ metadata: { total_size: 1 }, weight_map: map });
const indexName = 'model.safetensors.index.json';

async function directory(dir: string, files: Record<string, string | Buffer>): Promise<string> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
  return dir;
}

test('a single file, whatever its name, stands alone', async (t) => {
  const dir = await directory(await temporaryDirectory(t), { 'weights.bin': weights('a', 'b'), 'config.json': '{}' });
  const model = await openModel(join(dir, 'weights.bin'));
  assert.equal(model.dir, dir);
  assert.deepEqual(
    model.weightFiles.map(({ name, path, dataBytes }) => ({ name, path, dataBytes })),
    [{ name: 'weights.bin', path: join(dir, 'weights.bin'), dataBytes: 8n }],
  );
  assert.deepEqual(model.tensors[1], { name: 'b', dtype: 'U8', shape: [4], bytes: 4n, offset: 4n, file: 0 });
  assert.deepEqual(model.modelFiles, []);
});

test('model.safetensors counts alone, with the files beside it but no stale index', async (t) => {
  const dir = await directory(await temporaryDirectory(t), {
    'model.safetensors': weights('a'),
    'consolidated.safetensors': weights('a'),
    [indexName]: index({ a: 'consolidated.safetensors' }),
    'config.json': '{}',
  });
  const model = await openModel(dir);
  assert.deepEqual(
    model.weightFiles.map(({ name }) => name),
    ['model.safetensors'],
  );
  assert.deepEqual(
    model.modelFiles.map(({ name, size }) => [name, size]),
    [['config.json', 2n]],
  );
});

test('an index chooses the files; tensors come by file and offset', async (t) => {
  const dir = await directory(await temporaryDirectory(t), {
    'two.safetensors': weights('b', '__proto__'),
    'one.safetensors': weights('c', 'a'),
    'other.safetensors': weights('a'),
    [indexName]: '{"weight_map":{"__proto__":"two.safetensors","a":"one.safetensors","c":"one.safetensors"}}',
  });
  const model = await openModel(dir);
  assert.deepEqual(
    model.tensors.map(({ name, file }) => [name, file]),
    [
      ['c', 0],
      ['a', 0],
      ['b', 1],
      ['__proto__', 1],
    ],
  );
  assert.deepEqual(
    model.modelFiles.map(({ name }) => name),
    [indexName],
  );
});

test('without both, every *.safetensors file counts, by name', async (t) => {
  const dir = await directory(await temporaryDirectory(t), {
    'b.safetensors': weights('x'),
    'a.safetensors': weights('y'),
    '.hidden.safetensors': 'no',
    'c.bin': 'no',
  });
  assert.deepEqual(
    (await openModel(dir)).weightFiles.map(({ name }) => name),
    ['a.safetensors', 'b.safetensors'],
  );
});

test('refuses indexes that do not fit their files', async (t) => {
  const cases: Record<string, [string, RegExp, string | undefined]> = {
    missing: [index({ a: 'no.safetensors' }), /tensor "a": is mapped to "no\.safetensors", which is not a \*\.safetensors file/, 'a'],
    up: [index({ a: '../one.safetensors' }), /not a plain file name/, 'a'],
    absolute: [index({ a: '/etc/passwd' }), /not a plain file name/, 'a'],
    below: [index({ a: 'sub/one.safetensors' }), /not a plain file name/, 'a'],
    backslash: [index({ a: '..\\one.safetensors' }), /not a plain file name/, 'a'],
    dots: [index({ a: '..' }), /not a plain file name/, 'a'],
    lacking: [index({ a: 'one.safetensors', q: 'one.safetensors' }), /"q": is mapped to "one\.safetensors", which lacks it/, 'q'],
    elsewhere: [index({ a: 'one.safetensors', b: 'one.safetensors', c: 'two.safetensors' }), /"b": .*but is in "two\.safetensors"/, 'b'],
    number: [index({ a: 1 }), /expected a string/, 'a'],
    twice: ['{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}', /duplicate key "a"/, undefined],
    list: ['{"weight_map":[]}', /expected an object/, undefined],
    none: ['{"metadata":{}}', /lacks weight_map/, undefined],
    empty: ['{"weight_map":{}}', /names no tensors/, undefined],
    text: ['weights', /expected an object/, undefined],
  };
  for (const [name, [content, message, tensor]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const dir = await directory(await temporaryDirectory(t), {
        'one.safetensors': weights('a'),
        'two.safetensors': weights('b', 'c'),
        [indexName]: content,
      });
      await assert.rejects(
        openModel(dir),
        failsWith('ERR_MODEL_INVALID', message, { file: join(dir, indexName), tensor: tensor as string }),
      );
    });
  }
});

test('refuses the same tensor in two files', async (t) => {
  const dir = await directory(await temporaryDirectory(t), { 'a.safetensors': weights('x', 'w'), 'b.safetensors': weights('w') });
  await assert.rejects(
    openModel(dir),
    failsWith('ERR_MODEL_INVALID', /"w": is also in a\.safetensors/, { file: join(dir, 'b.safetensors'), tensor: 'w' }),
  );
});

test('refuses what holds no tensors; what is not there is not found', async (t) => {
  const dir = await temporaryDirectory(t);
  await assert.rejects(openModel(dir), failsWith('ERR_MODEL_INVALID', /no \*\.safetensors file/, { file: dir }));
  await directory(dir, { 'pytorch_model.bin': 'x', 'config.json': '{}' });
  await assert.rejects(openModel(dir), failsWith('ERR_MODEL_INVALID', /no \*\.safetensors file/));
  await directory(dir, { 'a.safetensors': fileBytes({}, 0) });
  await assert.rejects(openModel(dir), failsWith('ERR_MODEL_INVALID', /a\.safetensors hold no tensors/));
  await assert.rejects(openModel(join(dir, 'nowhere')), failsWith('ERR_NOT_FOUND', /cannot open the model/));
  await assert.rejects(openModel(join(dir, 'config.json', 'x')), failsWith('ERR_IO', /ENOTDIR/));
});

test('an invalid file is named with its path', async (t) => {
  const dir = await directory(await temporaryDirectory(t), {
    'a.safetensors': weights('x'),
    'b.safetensors': fileBytes({ y: bytesAt(0, 4) }, 3),
  });
  await assert.rejects(openModel(dir), failsWith('ERR_MODEL_INVALID', /cut short/, { file: join(dir, 'b.safetensors'), tensor: 'y' }));
});

test('weight files may be symbolic links', async (t) => {
  const root = await temporaryDirectory(t);
  await mkdir(join(root, 'store'));
  await mkdir(join(root, 'model'));
  await writeFile(join(root, 'store', 'blob'), weights('a'));
  await symlink('../store/blob', join(root, 'model', 'model.safetensors'));
  assert.equal((await openModel(join(root, 'model'))).tensors.length, 1);
});

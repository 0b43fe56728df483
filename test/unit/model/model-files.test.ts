import assert from 'node:assert/strict';
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { listModelFiles, maxModelFileBytes } from '#src/model/model-files.js';
import { temporaryDirectory } from './support.js';

test('takes what a loader reads beside the weights, and nothing else', async (t) => {
  const dir = await temporaryDirectory(t);
  const wanted = ['chat_template.jinja', 'config.json', 'merges.txt', 'modeling_x.py', 'qwen.tiktoken', 'tokenizer.model'];
  const others = [
    '.env.json',
    'LICENSE',
    'README.md',
    'a.gguf',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
    'x.pt',
    'x.safetensors',
  ];
  for (const name of [...wanted, ...others]) await writeFile(join(dir, name), 'x');
  await mkdir(join(dir, 'original.json'));
  const { files, skipped } = await listModelFiles(dir, true);
  assert.deepEqual(
    files.map(({ name }) => name),
    wanted,
  );
  assert.ok(files.every(({ name, path, size }) => path === join(dir, name) && size === 1n));
  assert.deepEqual(skipped, [{ name: 'original.json', reason: 'not a regular file' }]);
});

test('the index travels only when the weights were found by it', async (t) => {
  const dir = await temporaryDirectory(t);
  await writeFile(join(dir, 'model.safetensors.index.json'), '{}');
  assert.equal((await listModelFiles(dir, true)).files.length, 1);
  assert.equal((await listModelFiles(dir, false)).files.length, 0);
});

test('a file beyond the limit stays, and the reason is told', async (t) => {
  const dir = await temporaryDirectory(t);
  for (const [name, size] of [
    ['just.json', maxModelFileBytes],
    ['over.json', maxModelFileBytes + 1n],
  ] as const) {
    await writeFile(join(dir, name), '');
    await truncate(join(dir, name), Number(size));
  }
  const { files, skipped } = await listModelFiles(dir, false);
  assert.deepEqual(
    files.map(({ name, size }) => [name, size]),
    [['just.json', maxModelFileBytes]],
  );
  assert.match(skipped[0]?.reason ?? '', /67108865 bytes/);
});

test('symbolic links stay inside: a link elsewhere would publish a file of this host', async (t) => {
  const root = await temporaryDirectory(t);
  const dir = join(root, 'model');
  await mkdir(dir);
  await writeFile(join(root, 'secret'), 'x');
  await writeFile(join(root, 'model-neighbour.json'), 'x');
  await writeFile(join(dir, 'real.json'), 'xy');
  await symlink('real.json', join(dir, 'inside.json'));
  await symlink('../secret', join(dir, 'outside.json'));
  await symlink('../model-neighbour.json', join(dir, 'prefix.json'));
  await symlink('gone', join(dir, 'dangling.json'));
  const { files, skipped } = await listModelFiles(dir, false);
  assert.deepEqual(
    files.map(({ name, size }) => [name, size]),
    [
      ['inside.json', 2n],
      ['real.json', 2n],
    ],
  );
  assert.deepEqual(skipped, [
    { name: 'dangling.json', reason: 'a symbolic link to nothing' },
    { name: 'outside.json', reason: 'a symbolic link that leaves the directory' },
    { name: 'prefix.json', reason: 'a symbolic link that leaves the directory' },
  ]);
});

test('a snapshot of a Hugging Face cache links to the blobs of its own repository', async (t) => {
  const root = await temporaryDirectory(t);
  const repository = join(root, 'models--org--name');
  const snapshot = join(repository, 'snapshots', 'abc');
  for (const dir of [snapshot, join(repository, 'blobs'), join(root, 'models--other', 'blobs')]) await mkdir(dir, { recursive: true });
  await writeFile(join(repository, 'blobs', '1234'), '{}');
  await writeFile(join(root, 'models--other', 'blobs', '5678'), '{}');
  await symlink('../../blobs/1234', join(snapshot, 'config.json'));
  await symlink('../../../models--other/blobs/5678', join(snapshot, 'tokenizer.json'));
  const { files, skipped } = await listModelFiles(snapshot, false);
  assert.deepEqual(
    files.map(({ name, size }) => [name, size]),
    [['config.json', 2n]],
  );
  assert.deepEqual(
    skipped.map(({ name }) => name),
    ['tokenizer.json'],
  );
});

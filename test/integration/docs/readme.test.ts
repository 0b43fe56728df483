/** The README's program runs as it stands. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

test('the example of the README, importing the package by its name', async (t) => {
  const example = /```js\n([\s\S]*?)```/.exec(await readFile(join(root, 'README.md'), 'utf8'))?.[1];
  assert.ok(example);
  // Inside the package, so that its own name resolves to its exports.
  const folder = await mkdtemp(join(root, 'build', 'readme-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'example.mjs'), example);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(folder, 'example.mjs')], { timeout: 60_000 });
  assert.match(stdout, /^local .*GB\/s, 1 tensor verified, .*42, 42, 42, 42/s);
  assert.match(stderr, /wire/);
});

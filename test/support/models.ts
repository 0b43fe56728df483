/** Models that tests move, and how two directories are compared. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** SHA-256 of every file of a directory, by name; folders inside of it are not part of a model. */
export async function sha256sums(directory: string): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  const files = (await readdir(directory, { withFileTypes: true })).filter((entry) => !entry.isDirectory());
  for (const name of files.map((entry) => entry.name).sort()) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(directory, name)), hash);
    sums.set(name, hash.digest('hex'));
  }
  return sums;
}

/** Every file of `copy` equals the one of `original`, and every safetensors file of it is there. */
export async function assertSameModel(original: string, copy: string): Promise<void> {
  const ours = await sha256sums(copy);
  const theirs = await sha256sums(original);
  assert.ok(ours.size > 0);
  for (const [name, sum] of ours) assert.equal(sum, theirs.get(name), `${name} differs`);
  for (const name of theirs.keys()) if (/\.(safetensors|json)$/.test(name)) assert.ok(ours.has(name), `${name} is missing`);
}

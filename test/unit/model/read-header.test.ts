import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readHeader } from '#src/model/safetensors.js';
import { bytesAt, failsWith, fileBytes, headerBytes, temporaryDirectory } from './support.js';

test('reads the header and where the data begins', async (t) => {
  const path = join(await temporaryDirectory(t), 'x.safetensors');
  const header = { a: bytesAt(0, 5) };
  await writeFile(path, fileBytes(header, 5));
  const read = await readHeader(path);
  assert.deepEqual(read.header, headerBytes(header));
  assert.equal(read.dataOffset, BigInt(8 + read.header.length));
  assert.equal(read.dataBytes, 5n);
  assert.deepEqual(
    read.tensors.map(({ name }) => name),
    ['a'],
  );
});

test('refuses files that cannot be what their first bytes claim, without reading what is not there', async (t) => {
  const dir = await temporaryDirectory(t);
  const header = { a: bytesAt(0, 5) };
  const cases: Record<string, [Buffer, RegExp]> = {
    empty: [Buffer.alloc(0), /0 bytes are too few/],
    seven: [Buffer.alloc(7), /7 bytes are too few/],
    longer: [fileBytes(header, 0, 5000n), /cut short: claims a header of 5000 bytes/],
    gigabyte: [fileBytes(header, 5, 2n ** 30n), /claims a header of 1073741824 bytes.*limit of 100000000/],
    largest: [fileBytes(header, 5, 2n ** 64n - 1n), /claims a header of 18446744073709551615 bytes/],
    pickle: [Buffer.from('PK\x03\x04 an archive, no safetensors'), /no safetensors file/],
    zero: [fileBytes('', 5, 0n), /expected an object/],
    cut: [fileBytes(header, 4), /ends at byte 5 .* cut short/],
  };
  for (const [name, [content, message]] of Object.entries(cases)) {
    const path = join(dir, name);
    await writeFile(path, content);
    await assert.rejects(readHeader(path), failsWith('ERR_MODEL_INVALID', message, { file: path }));
  }
});

test('a sparse file of 1 TB with a valid header has no other cost than its header', async (t) => {
  const path = join(await temporaryDirectory(t), 'huge.safetensors');
  const dataBytes = 2 ** 40;
  const content = fileBytes({ a: bytesAt(0, dataBytes) }, 0);
  await writeFile(path, content);
  await truncate(path, content.length + dataBytes);
  assert.equal((await readHeader(path)).dataBytes, 2n ** 40n);
});

test('a directory and a FIFO are no weight files, and a FIFO is not waited for', async (t) => {
  const dir = await temporaryDirectory(t);
  await mkdir(join(dir, 'd.safetensors'));
  await assert.rejects(readHeader(join(dir, 'd.safetensors')), failsWith('ERR_MODEL_INVALID', /not a regular file/));
  execFileSync('mkfifo', [join(dir, 'f.safetensors')]);
  await assert.rejects(readHeader(join(dir, 'f.safetensors')), failsWith('ERR_MODEL_INVALID', /not a regular file/));
});

test('a missing file is not found; a name for errors replaces the path', async (t) => {
  const dir = await temporaryDirectory(t);
  await assert.rejects(readHeader(join(dir, 'no.safetensors'), 'shown'), failsWith('ERR_NOT_FOUND', /ENOENT/, { file: 'shown' }));
});

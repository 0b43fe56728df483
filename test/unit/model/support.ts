/** Building of safetensors files byte by byte, for tests of what reads them. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { WeightcastError, type ErrorCode } from '#src/errors.js';
import { parseHeader, type TensorEntry } from '#src/model/safetensors.js';

/** A header as JSON text, or any text. */
export function headerBytes(header: unknown): Buffer {
  return Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
}

/** A whole file; `claimed` is the header length that its first 8 bytes say, if not the true one. */
export function fileBytes(header: unknown, dataBytes: number, claimed?: bigint): Buffer {
  const json = headerBytes(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([prefix, json, Buffer.alloc(dataBytes, 7)]);
}

/** A tensor of bytes at [begin, end). */
export function bytesAt(begin: number, end: number): object {
  return { dtype: 'U8', shape: [end - begin], data_offsets: [begin, end] };
}

export function parse(header: unknown, dataBytes: number): TensorEntry[] {
  return parseHeader(headerBytes(header), BigInt(dataBytes), 'file.safetensors');
}

/** What a check of a rejected or thrown error looks for. */
export function failsWith(code: ErrorCode, message: RegExp, where: { tensor?: string; file?: string } = {}): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof WeightcastError, `not a WeightcastError: ${String(error)}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    if ('tensor' in where) assert.equal(error.tensor, where.tensor);
    if (where.file !== undefined) {
      assert.equal(error.file, where.file);
      assert.ok(error.message.includes(where.file), `${error.message} does not name ${where.file}`);
    }
    return true;
  };
}

/** A directory that goes when the test ends. */
export async function temporaryDirectory(context: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'weightcast-model-'));
  context.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A metadata server, temporary folders and small tensors for tests that use the library in this process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { MetadataServer } from '#src/metadata/server/server.js';
import type { SeedTensor } from '#src/seed/index.js';

/** A server on a free port, closed after the tests of the file. */
export async function startServer(): Promise<MetadataServer> {
  const server = await MetadataServer.listen({ listen: '127.0.0.1:0' });
  after(() => server.close());
  return server;
}

/** An empty folder, removed after the tests of the file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weightcast-test-'));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Bytes that differ everywhere, so that a misplaced run shows: 64-bit counters of a multiplicative hash. */
export function pattern(length: number, seed: number): Uint8Array {
  const words = new BigUint64Array(Math.ceil(length / 8));
  let state = (BigInt(seed) + 1n) * 0x9e3779b97f4a7c15n;
  for (let index = 0; index < words.length; index++) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Tensors in one ArrayBuffer each, of the sizes given. */
export function byteTensors(sizes: readonly number[]): (SeedTensor & { readonly data: Uint8Array })[] {
  return sizes.map((size, index) => ({ name: `tensor.${String(index)}`, dtype: 'U8', shape: [size], data: pattern(size, index) }));
}

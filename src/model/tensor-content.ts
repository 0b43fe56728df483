/** Deterministic pseudo-random tensor bytes: what a tensor holds follows from a seed and its name alone. */
import { createHash } from 'node:crypto';
import type { Dtype } from './dtypes.js';

/** Bytes that {@link tensorContent} makes at a time. */
export const contentPieceBytes = 256 * 1024;

/** Memory for pieces; one may serve many tensors, one after another. */
export function contentScratch(): Int32Array {
  return new Int32Array(contentPieceBytes / 4);
}

/**
 * The bytes of a tensor, from its first on: each call gives the next `min(left, 256 KiB)`, where `left` is what the
 * tensor still lacks. They lie in `scratch` and are valid until the next call.
 *
 * The words of the generator sfc32, little-endian, its state the hash of seed and name: it fills memory in place at more
 * than 1 GB/s, where a cipher of Node would allocate every piece anew. `BOOL` keeps only the lowest bit of a byte, as
 * its readers expect; floats may be NaN.
 */
export function tensorContent(seed: number, name: string, dtype: Dtype, scratch = contentScratch()): (left: bigint) => Uint8Array {
  const digest = createHash('sha256').update(`${seed}\n${name}`, 'utf8').digest();
  const state = Int32Array.from([0, 4, 8, 12], (at) => digest.readInt32LE(at));
  const mask = dtype === 'BOOL' ? 0x01010101 : -1;
  return (left) => {
    const bytes = left < BigInt(contentPieceBytes) ? Number(left) : contentPieceBytes;
    fill(scratch.subarray(0, Math.ceil(bytes / 4)), state, mask);
    return new Uint8Array(scratch.buffer, scratch.byteOffset, bytes);
  };
}

/** sfc32 by Chris Doty-Humphrey (PractRand), public domain. */
function fill(words: Int32Array, state: Int32Array, mask: number): void {
  let [a = 0, b = 0, c = 0, counter = 0] = state;
  for (let index = 0; index < words.length; index++) {
    const word = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + word) | 0;
    words[index] = word & mask;
  }
  state.set([a, b, c, counter]);
}

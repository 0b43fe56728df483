/** Deterministic pseudo-random tensor bytes: what a tensor holds follows from a seed and its name alone. */
import { createCipheriv, createHash } from 'node:crypto';
import type { Dtype } from './dtypes.js';

const zeros = Buffer.alloc(256 * 1024);

/**
 * The bytes of a tensor, from its first on: each call gives the next ones, at most `wanted` and at most 256 KiB.
 * AES-128 in counter mode with the seed's hash as the key and the name's hash as the first counter, since nothing else
 * in Node makes bytes as fast (about 5 GB/s here) and alike on every machine. `BOOL` keeps only the lowest bit, as its
 * readers expect; floats may be NaN.
 */
export function tensorContent(seed: number, name: string, dtype: Dtype): (wanted: bigint) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', hash(`weightcast seed ${seed}`), hash(name));
  return (wanted) => {
    const bytes = cipher.update(wanted < BigInt(zeros.length) ? zeros.subarray(0, Number(wanted)) : zeros);
    if (dtype === 'BOOL') for (let index = 0; index < bytes.length; index++) bytes[index] = (bytes[index] ?? 0) & 1;
    return bytes;
  };
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest().subarray(0, 16);
}

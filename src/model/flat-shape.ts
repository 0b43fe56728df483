import { dtypeBits, isDtype } from './dtypes.js';

/**
 * The shape of a tensor that only says its size: one dimension of as many elements as fit.
 * @param dtype - safetensors name; an unknown one counts as bytes.
 * @param bytes - length; bytes left over after the last whole element do not count.
 */
export function flatShape(dtype: string, bytes: bigint): [number] {
  return [Number((bytes * 8n) / BigInt(isDtype(dtype) ? dtypeBits(dtype) : 8))];
}

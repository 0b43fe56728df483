/** How SGLang counts a tensor: elements, and bytes of each. */
import { dtypeBits, isDtype } from '../model/dtypes.js';

export interface Elements {
  readonly numel: bigint;
  /** Bytes. */
  readonly elementSize: number;
}

/**
 * Elements of `bytes` of a dtype. Where an element is no whole byte (F4, F6) elements are bytes: torch holds such tensors as
 * `uint8`, or as a type that packs two elements into one byte.
 *
 * @param dtype safetensors name; `''` for not known.
 * @param otherwise bytes of an element where the dtype is not known.
 */
export function elementsOf(dtype: string, bytes: bigint, otherwise = 1): Elements {
  const elementSize = isDtype(dtype) ? Math.max(dtypeBits(dtype) / 8, 1) : otherwise;
  return { numel: bytes / BigInt(elementSize), elementSize };
}

/** Whether a benchmark fits into this machine, asked before minutes have gone into filling memory. */
import { WeightcastError } from '../../errors.js';
import { tensorBytes } from '../../model/dtypes.js';
import type { TensorSpec } from '../../model/tensor.js';
import { native } from '../../native.js';

/** @throws ERR_OUT_OF_MEMORY when `bytes` are more than this machine can give now. @param whose begins the sentence. */
export function requireMemory(bytes: bigint, whose: string): void {
  const { available } = native().limits();
  if (available === undefined || bytes <= available) return;
  throw new WeightcastError(
    'ERR_OUT_OF_MEMORY',
    `bench: ${whose} needs ${gigabytes(bytes)} and this machine has ${gigabytes(available)} left; measure less (--scale, --buffer), or the two sides on two hosts (--serve, --connect)`,
  );
}

export function totalBytes(specs: readonly TensorSpec[]): bigint {
  return specs.reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0n);
}

function gigabytes(bytes: bigint): string {
  return `${(Number(bytes) / 1e9).toFixed(2)} GB`;
}

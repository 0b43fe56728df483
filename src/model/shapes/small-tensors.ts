/** Many tensors of one size: what a transfer costs per tensor rather than per byte. */
import { WeightcastError } from '../../errors.js';
import { dtypeBits, type Dtype } from '../dtypes.js';
import type { TensorSpec } from '../tensor.js';
import { requireWhole } from './scale.js';

/** How many tensors, and of what. */
export interface SmallTensorsOptions {
  /** Tensors. */
  readonly count: number;
  /** Bytes of each; whole elements of `dtype`. 0 makes empty tensors. */
  readonly bytes: number;
  /** Default `BF16`. */
  readonly dtype?: Dtype;
}

/**
 * `count` vectors of `bytes` bytes, called `tensor.00000` and so on.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for counts below 1 and bytes that are not whole elements.
 */
export function smallTensors({ count, bytes, dtype = 'BF16' }: SmallTensorsOptions): TensorSpec[] {
  requireWhole('count', count, 1, 10_000_000);
  requireWhole('bytes', bytes, 0, 2 ** 48);
  const elements = (bytes * 8) / dtypeBits(dtype);
  if (!Number.isInteger(elements)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `expected whole elements of ${dtype} for bytes but received ${bytes}`);
  }
  const digits = Math.max(5, String(count - 1).length);
  return Array.from({ length: count }, (_, index) => ({ name: `tensor.${String(index).padStart(digits, '0')}`, dtype, shape: [elements] }));
}

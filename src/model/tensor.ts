/** Tensors as the model folder knows them: a name, an element type, a shape, and a place in a file. */
import { tensorBytes, type Dtype } from './dtypes.js';

/** What a tensor is, before it has a place. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor of one file. */
export interface TensorEntry extends TensorSpec {
  /** Bytes; product of the shape × bits of the dtype / 8. */
  readonly bytes: bigint;
  /** Bytes from the beginning of the file's data section. */
  readonly offset: bigint;
}

/** Gives every tensor its bytes and its offset in a file's data section, one after another in the given order. */
export function placeTensors(specs: readonly TensorSpec[]): TensorEntry[] {
  let offset = 0n;
  return specs.map(({ name, dtype, shape }) => {
    const bytes = tensorBytes(dtype, shape);
    const entry = { name, dtype, shape, bytes, offset };
    offset += bytes;
    return entry;
  });
}

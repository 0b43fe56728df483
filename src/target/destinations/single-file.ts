/** Any catalog as one safetensors file: used where the seed has no files of its own, and for shared memory. */
import { flatShape } from '../../model/flat-shape.js';
import { buildHeader } from '../../model/safetensors.js';
import type { CatalogTensor } from '../catalog.js';
import { PAGE, packed } from './layout.js';

export interface SingleFile {
  /** The 8 length bytes and the padded JSON header; the data section follows at once, page aligned. */
  readonly head: Buffer;
  /** Offset of each tensor from the file's start, in the order given. */
  readonly offsets: readonly bigint[];
  readonly bytes: bigint;
  /** Tensors whose shape or dtype the seed did not say: written flat, or as bytes. */
  readonly flattened: number;
}

export function singleFile(tensors: readonly CatalogTensor[]): SingleFile {
  const { offsets, end } = packed(tensors, 0n);
  let flattened = 0;
  const entries = [...offsets].map(([tensor, offset]) => {
    const dtype = tensor.dtype === '' ? 'U8' : tensor.dtype;
    if (tensor.shape === undefined || tensor.dtype === '') flattened += 1;
    const shape = tensor.dtype === '' || tensor.shape === undefined ? flatShape(dtype, tensor.bytes) : tensor.shape;
    return { name: tensor.name, dtype, shape, bytes: tensor.bytes, offset };
  });
  const json = buildHeader(entries, { format: 'pt' }, Number(PAGE));
  const head = Buffer.alloc(8 + json.length);
  head.writeBigUInt64LE(BigInt(json.length), 0);
  json.copy(head, 8);
  const start = BigInt(head.length);
  return { head, offsets: tensors.map((tensor) => start + (offsets.get(tensor) ?? 0n)), bytes: start + end, flattened };
}

export function flattenedNote(count: number): string[] {
  return count === 0 ? [] : [`the seed does not publish shapes: ${String(count)} tensor(s) were written flat`];
}

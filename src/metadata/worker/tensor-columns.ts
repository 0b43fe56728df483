/** Tensors of a model manifest as columns: a third of the work of one message a tensor. */
import { WeightcastError } from '../../errors.js';
import { TensorColumns } from '../../gen/weightcast/seed.js';
import type { ManifestTensor } from './model-manifest.js';

export function toColumns(tensors: readonly ManifestTensor[]): TensorColumns {
  const columns = TensorColumns.create();
  const dtypes = new Map<string, number>();
  const anyChecksum = tensors.some(({ checksum }) => checksum !== undefined);
  const anyElementSize = tensors.some(({ elementSize }) => elementSize !== undefined);
  tensors.forEach((tensor, row) => {
    columns.name.push(tensor.name);
    columns.dtype.push(indexOf(dtypes, tensor.dtype));
    columns.rank.push(tensor.shape?.length ?? 0);
    for (const dimension of tensor.shape ?? []) columns.dimension.push(BigInt(dimension));
    if (tensor.shape === undefined) columns.withoutShape.push(row);
    columns.bytes.push(tensor.bytes);
    columns.file.push(tensor.file);
    columns.offset.push(tensor.offset);
    if (anyElementSize) columns.elementSize.push(tensor.elementSize ?? 0);
    if (!anyChecksum) return;
    columns.checksum.push(tensor.checksum ?? 0n);
    if (tensor.checksum === undefined) columns.withoutChecksum.push(row);
  });
  columns.dtypes = [...dtypes.keys()];
  return columns;
}

function indexOf(dictionary: Map<string, number>, text: string): number {
  const index = dictionary.get(text) ?? dictionary.size;
  dictionary.set(text, index);
  return index;
}

/** @throws ERR_PROTOCOL when the columns are of different lengths or point outside of each other. */
export function fromColumns(columns: TensorColumns): ManifestTensor[] {
  const { name, dtypes, dtype, rank, dimension, bytes, file, offset, checksum, elementSize } = columns;
  const withoutChecksum = new Set(columns.withoutChecksum);
  const withoutShape = new Set(columns.withoutShape);
  let nextDimension = 0;
  const tensors = name.map((text, row): ManifestTensor => {
    const dimensions = cell(rank, row, text);
    const shape = dimension.slice(nextDimension, nextDimension + dimensions).map((size) => toDimension(size, text));
    if (shape.length !== dimensions) throw broken(text);
    nextDimension += dimensions;
    return {
      name: text,
      dtype: cell(dtypes, cell(dtype, row, text), text),
      shape: withoutShape.has(row) ? undefined : shape,
      ...(elementSize.length > 0 && cell(elementSize, row, text) > 0 && { elementSize: cell(elementSize, row, text) }),
      bytes: cell(bytes, row, text),
      checksum: checksum.length === 0 || withoutChecksum.has(row) ? undefined : cell(checksum, row, text),
      file: cell(file, row, text),
      offset: cell(offset, row, text),
    };
  });
  const rows = name.length;
  const lengths = [dtype, rank, bytes, file, offset].map((column) => column.length);
  if (
    lengths.some((length) => length !== rows) ||
    nextDimension !== dimension.length ||
    [checksum, elementSize].some((column) => column.length !== 0 && column.length !== rows)
  ) {
    throw broken(name.at(-1) ?? '');
  }
  return tensors;
}

function cell<T>(column: readonly T[], row: number, tensor: string): T {
  const value = column[row];
  if (value === undefined) throw broken(tensor);
  return value;
}

function toDimension(size: bigint, tensor: string): number {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw broken(tensor);
  return Number(size);
}

function broken(tensor: string): WeightcastError {
  return new WeightcastError('ERR_PROTOCOL', `the model manifest is broken: its columns do not fit together at tensor '${tensor}'`, {
    tensor,
  });
}

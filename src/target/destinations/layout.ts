/** Memory layouts that let neighbours in the seed's files stay neighbours, so that reads merge. */
import type { Catalog, CatalogTensor } from '../catalog.js';

/** x86-64 and arm64 base pages; a file's data section starts on one, for whoever maps or copies it. */
export const PAGE = 4096n;

export interface FileLayout {
  /** Offset of each weight file's data section in the region. */
  readonly files: readonly bigint[];
  /** Offset of each tensor in the region, in the catalog's order. */
  readonly tensors: readonly bigint[];
  readonly bytes: bigint;
}

/**
 * One region for a whole model: each weight file's data section as it is in the file, page aligned, then the tensors that
 * have no file, in catalog order, `start` bytes from the region's beginning.
 */
export function layOut(catalog: Catalog, start = 0n): FileLayout {
  let end = start;
  const files = catalog.weightFiles.map((file) => {
    const offset = alignUp(end, PAGE);
    end = offset + file.dataBytes;
    return offset;
  });
  const tensors = catalog.tensors.map((tensor) => {
    const file = tensor.file < 0 ? undefined : files[tensor.file];
    if (file !== undefined) return file + tensor.fileOffset;
    const offset = alignUp(end, 64n);
    end = offset + tensor.bytes;
    return offset;
  });
  return { files, tensors, bytes: end };
}

/** Tensors back to back, in the seed's address order, so that a whole file or buffer comes in few reads. */
export function packed(tensors: readonly CatalogTensor[], start: bigint): { offsets: Map<CatalogTensor, bigint>; end: bigint } {
  const order = [...tensors].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  const offsets = new Map<CatalogTensor, bigint>();
  let end = start;
  for (const tensor of order) {
    offsets.set(tensor, end);
    end += tensor.bytes;
  }
  return { offsets, end };
}

export function alignUp(value: bigint, alignment: bigint): bigint {
  return ((value + alignment - 1n) / alignment) * alignment;
}

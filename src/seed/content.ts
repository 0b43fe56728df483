/** What a seed serves: regions, the tensors inside of them, and the files that go with them. */
import { open } from 'node:fs/promises';
import { WeightcastError } from '../errors.js';
import { tensorBytes } from '../model/dtypes.js';
import type { Model } from '../model/model.js';
import { Region } from '../region.js';

export interface ContentTensor {
  readonly name: string;
  /** safetensors name. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: bigint;
  /** Index into {@link SeedContent.regions}; without meaning for a tensor of no bytes. */
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: bigint;
  /** Index into {@link SeedContent.weightFiles}; -1 for none. */
  readonly file: number;
  /** In that file's data section. */
  readonly fileOffset: bigint;
}

/** A byte-exact part of a region that peers may read. */
export interface ContentRange {
  readonly region: number;
  readonly offset: bigint;
  readonly length: bigint;
}

export interface SeedContent {
  /** A region may be replaced by a copy of itself while registering; offsets stay. */
  readonly regions: Region[];
  readonly tensors: readonly ContentTensor[];
  readonly weightFiles: readonly { readonly name: string; readonly header: Buffer; readonly dataBytes: bigint }[];
  readonly modelFiles: readonly { readonly name: string; readonly path: string; readonly size: bigint }[];
  /** Closes the regions that this content opened itself. */
  close(): void;
}

/** Maps a model's files: one region a weight file, straight from the page cache. */
export async function contentOfModel(model: Model): Promise<SeedContent> {
  const regions: Region[] = [];
  const regionOfFile: number[] = [];
  const close = (): void => {
    for (const region of regions) region.close();
  };
  try {
    for (const file of model.weightFiles) {
      regionOfFile.push(regions.length);
      if (file.dataBytes > 0n) regions.push(await Region.mapFile(file.path, file.dataOffset, file.dataBytes));
    }
  } catch (error) {
    close();
    throw error;
  }
  const tensors = model.tensors.map((tensor) => ({
    name: tensor.name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: tensor.bytes,
    region: regionOfFile[tensor.file] ?? 0,
    offset: tensor.offset,
    file: tensor.file,
    fileOffset: tensor.offset,
  }));
  return { regions, tensors, weightFiles: model.weightFiles, modelFiles: model.modelFiles, close };
}

/**
 * The ranges that hold tensors, neighbours and overlaps merged: one registration each. Exactly the published bytes,
 * rounded by nothing, because a registered range is readable by every peer that knows its key.
 */
export function rangesOf(tensors: readonly ContentTensor[]): ContentRange[] {
  const sorted = tensors
    .filter((tensor) => tensor.bytes > 0n)
    .sort((a, b) => a.region - b.region || (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0));
  const ranges: { region: number; offset: bigint; length: bigint }[] = [];
  for (const { region, offset, bytes } of sorted) {
    const last = ranges.at(-1);
    if (last?.region === region && offset <= last.offset + last.length) {
      const end = offset + bytes;
      if (end > last.offset + last.length) last.length = end - last.offset;
    } else {
      ranges.push({ region, offset, length: bytes });
    }
  }
  return ranges;
}

/** A file of the model that is not weights, opened for a target; `undefined` when there is none of that name. */
export function openModelFile(content: SeedContent, name: string): Promise<AsyncIterable<Buffer>> | undefined {
  const file = content.modelFiles.find((candidate) => candidate.name === name);
  return file === undefined ? undefined : open(file.path).then((handle) => handle.createReadStream({ highWaterMark: 256 * 1024 }));
}

/** Refuses what cannot be published: a tensor whose size does not follow from dtype and shape, or a name given twice. */
export function checkTensor(name: string, dtype: string, shape: readonly number[], bytes: bigint, seen: Set<string>): void {
  if (name === '') throw new WeightcastError('ERR_INVALID_ARGUMENT', 'seedTensors: expected a tensor name but received an empty string');
  if (seen.has(name)) throw new WeightcastError('ERR_INVALID_ARGUMENT', `seedTensors: tensor ${name} is given twice`, { tensor: name });
  seen.add(name);
  const expected = tensorBytes(dtype, shape);
  if (expected !== bytes) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `seedTensors: tensor ${name} has ${String(bytes)} bytes, but ${dtype} [${shape.join(', ')}] needs ${String(expected)}`,
      { tensor: name },
    );
  }
}

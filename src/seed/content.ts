/** What a seed serves: regions, the tensors inside of them, and the files that go with them. */
import { open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { DeviceId } from '../device/device.js';
import { WeightcastError, toWeightcastError } from '../errors.js';
import { tensorBytes } from '../model/dtypes.js';
import type { Model } from '../model/model.js';
import { native } from '../native.js';
import { Region } from '../region.js';

export interface ContentTensor {
  readonly name: string;
  /** safetensors name; `''` when it is not known. */
  readonly dtype: string;
  /** `undefined` when it is not known. */
  readonly shape: readonly number[] | undefined;
  readonly bytes: bigint;
  /** Bytes of one element, where that is known and the dtype is not. */
  readonly elementSize?: number;
  /** Index into {@link SeedContent.regions}; without meaning for a tensor of no bytes. */
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: bigint;
  /** Index into {@link SeedContent.weightFiles}; -1 for none. */
  readonly file: number;
  /** In that file's data section. */
  readonly fileOffset: bigint;
}

/** A file of the model that is not weights. */
export interface ContentFile {
  readonly name: string;
  /** Bytes. */
  readonly size: bigint;
  /** Its bytes, from the beginning. */
  open(): Promise<AsyncIterable<Buffer>>;
}

export interface SeedContent {
  /** A region may be replaced by a copy of itself while registering; offsets stay. */
  readonly regions: Region[];
  readonly tensors: readonly ContentTensor[];
  readonly weightFiles: readonly { readonly name: string; readonly header: Buffer; readonly dataBytes: bigint }[];
  readonly modelFiles: readonly ContentFile[];
  /** Checksums that are known before, in the tensors' order: these are published, and none is computed. */
  readonly checksums?: readonly (bigint | undefined)[];
  /** What the weights are known to be laid out for; `''` or absent: what {@link SeedOptions.accelerator} says. */
  readonly accelerator?: string;
  /** In whose memory the weights were found, where nothing is known of their layout. */
  readonly residence?: string;
  /** Closes the regions that this content opened itself. */
  close(): void;
}

/** Maps a model's files, one region a weight file, straight from the page cache; with `on`, copies of them in that accelerator's memory. */
export async function contentOfModel(model: Model, on?: DeviceId): Promise<SeedContent> {
  const regions: Region[] = [];
  const loaded: Region[] = [];
  const regionOfFile: number[] = [];
  const close = (): void => {
    for (const region of [...regions, ...loaded]) region.close();
  };
  try {
    for (const file of model.weightFiles) {
      regionOfFile.push(regions.length);
      if (file.dataBytes === 0n) continue;
      const mapped = await Region.mapFile(file.path, file.dataOffset, file.dataBytes);
      regions.push(mapped);
      if (on !== undefined) loaded.push((regions[regions.length - 1] = await loadedOnto(on, mapped)));
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
  const modelFiles = model.modelFiles.map(({ name, path, size }) => ({ name, size, open: () => openFile(path) }));
  return { regions, tensors, weightFiles: model.weightFiles, modelFiles, close };
}

/** The mapping is closed. */
async function loadedOnto(on: DeviceId, mapped: Region): Promise<Region> {
  const region = await Region.allocateOn(on, mapped.byteLength);
  try {
    await native().copyRegion(mapped.handle, region.handle, availableParallelism());
  } catch (error) {
    region.close();
    throw toWeightcastError(error, { doing: 'cannot load a weight file into the memory of an accelerator' });
  }
  mapped.close();
  return region;
}

async function openFile(path: string): Promise<AsyncIterable<Buffer>> {
  const handle = await open(path);
  return handle.createReadStream({ highWaterMark: 256 * 1024 });
}

/** A file of the model that is not weights, opened for a target; `undefined` when there is none of that name. */
export function openModelFile(content: SeedContent, name: string): Promise<AsyncIterable<Buffer>> | undefined {
  return content.modelFiles.find((file) => file.name === name)?.open();
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

/** Dtypes and shapes out of a checkpoint's headers, for sources that say neither. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import { openModel, type Model, type ModelTensor } from '../model/model.js';
import { elementsOf } from '../sglang/elements.js';
import { sameShape, type Catalog, type CatalogTensor } from './catalog.js';
import type { Source } from './discovery/discovery.js';

/** A checkpoint's headers, and what its other files hash to. Nothing is kept open. */
export interface Checkpoint {
  readonly model: Model;
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly modelFiles: Catalog['modelFiles'];
}

/** Tensors that a note names. */
const shownNames = 3;

/** @throws ERR_NOT_FOUND, ERR_MODEL_INVALID, ERR_IO, ERR_ABORTED; as {@link openModel}. */
export async function openCheckpoint(path: string, signal: AbortSignal | undefined): Promise<Checkpoint> {
  const model = await openModel(path);
  const modelFiles: Catalog['modelFiles'][number][] = [];
  for (const { name, path: file, size } of model.modelFiles) modelFiles.push({ name, size, sha256: await sha256(file, signal) });
  return { model, tensors: new Map(model.tensors.map((tensor) => [tensor.name, tensor])), modelFiles };
}

/**
 * The source with what the checkpoint says of its tensors. Where it has exactly the checkpoint's and no files of its own, it
 * gets the checkpoint's files, too.
 * @throws ERR_TENSOR_SIZE, ERR_TENSOR_DTYPE, ERR_TENSOR_SHAPE, naming the tensor and both values.
 */
export function dressed(source: Source, like: Checkpoint): Source {
  const { catalog } = source;
  const { model, modelFiles } = like;
  const unknown = catalog.tensors.filter((tensor) => !like.tensors.has(tensor.name)).map((tensor) => tensor.name);
  const present = new Set(catalog.tensors.map((tensor) => tensor.name));
  const absent = model.tensors.filter((tensor) => !present.has(tensor.name)).map((tensor) => tensor.name);
  const asFiles = unknown.length === 0 && absent.length === 0 && catalog.weightFiles.length === 0;
  const tensors = catalog.tensors.map((tensor) => {
    const entry = like.tensors.get(tensor.name);
    return entry === undefined ? tensor : fitted(tensor, entry, asFiles, catalog.peer, model.dir);
  });
  const notes = [...source.notes, ...missing(unknown, `the checkpoint ${model.dir} lacks`), ...missing(absent, 'the source lacks')];
  if (!asFiles) return { ...source, catalog: { ...catalog, tensors }, notes };
  const weightFiles = model.weightFiles.map(({ name, header, dataBytes }) => ({ name, header, dataBytes }));
  return {
    ...source,
    catalog: { ...catalog, tensors, weightFiles, modelFiles },
    fetchFile: (name) => createReadStream(model.modelFiles.find((file) => file.name === name)?.path ?? '') as AsyncIterable<Buffer>,
    notes: [...notes, ...copied(modelFiles, model.dir)],
  };
}

function fitted(tensor: CatalogTensor, entry: ModelTensor, asFiles: boolean, peer: string, dir: string): CatalogTensor {
  const { name } = tensor;
  const { dtype, shape, bytes } = entry;
  const fail = (code: 'ERR_TENSOR_SIZE' | 'ERR_TENSOR_DTYPE' | 'ERR_TENSOR_SHAPE', here: string, there: string): WeightcastError =>
    new WeightcastError(code, `tensor ${name} is ${there} at ${peer}, but ${here} in the checkpoint ${dir}: it is not of the same model`, {
      tensor: name,
      peer,
    });
  if (tensor.dtype !== '' && tensor.dtype !== dtype) throw fail('ERR_TENSOR_DTYPE', dtype, tensor.dtype);
  const { elementSize } = elementsOf(dtype, bytes);
  if (tensor.elementSize !== undefined && tensor.elementSize !== elementSize) {
    const each = (size: number): string => `of ${String(size)} byte(s) an element`;
    throw fail('ERR_TENSOR_DTYPE', `${dtype}, ${each(elementSize)}`, each(tensor.elementSize));
  }
  if (tensor.bytes !== bytes) throw fail('ERR_TENSOR_SIZE', `${String(bytes)} bytes`, `${String(tensor.bytes)} bytes`);
  if (tensor.shape !== undefined && !sameShape(tensor.shape, shape)) {
    throw fail('ERR_TENSOR_SHAPE', `[${shape.join(', ')}]`, `[${tensor.shape.join(', ')}]`);
  }
  const placed = asFiles ? { file: entry.file, fileOffset: entry.offset } : {};
  return { ...tensor, dtype, shape, ...placed };
}

function missing(names: readonly string[], who: string): string[] {
  if (names.length === 0) return [];
  const more = names.length > shownNames ? ', …' : '';
  return [`${who} ${String(names.length)} of the tensors: ${names.slice(0, shownNames).join(', ')}${more}`];
}

function copied(files: Catalog['modelFiles'], dir: string): string[] {
  if (files.length === 0) return [];
  return [`the files beside the weights are those of ${dir}: ${files.map((file) => file.name).join(', ')}`];
}

async function sha256(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      throwIfAborted(signal, `read ${path}`);
      hash.update(chunk);
    }
  } catch (error) {
    throw toWeightcastError(error, { doing: `cannot read ${path}`, file: path });
  }
  return hash.digest('hex');
}

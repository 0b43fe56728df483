/** A model on disk: its weight files with their tensors, and the files beside them. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { toWeightcastError } from '../errors.js';
import { modelInvalid, quote } from './model-error.js';
import { listModelFiles, type ModelFile, type SkippedFile } from './model-files.js';
import { indexFileName, readIndex } from './model-index.js';
import { readHeader } from './safetensors.js';
import type { TensorEntry } from './tensor.js';

export type { ModelFile, SkippedFile } from './model-files.js';

/** A safetensors file of a model. */
export interface WeightFile {
  readonly name: string;
  readonly path: string;
  /** JSON header with its padding, without the 8 length bytes. */
  readonly header: Buffer;
  /** Where the data section begins in the file, bytes. */
  readonly dataOffset: bigint;
  readonly dataBytes: bigint;
}

/** A tensor of a model. */
export interface ModelTensor extends TensorEntry {
  /** Index into {@link Model.weightFiles}; `offset` is inside of that file's data section. */
  readonly file: number;
}

/** What {@link openModel} finds. Nothing is kept open. */
export interface Model {
  /** Absolute path. */
  readonly dir: string;
  /** By name. */
  readonly weightFiles: readonly WeightFile[];
  /** By file, then by offset. Names are unique. */
  readonly tensors: readonly ModelTensor[];
  /** By name; empty when a single file was opened. */
  readonly modelFiles: readonly ModelFile[];
  /** Files that look like a part of the checkpoint but do not travel, and why: worth a warning. */
  readonly skippedFiles: readonly SkippedFile[];
}

const singleFileName = 'model.safetensors';

/**
 * Opens a model: one safetensors file (whatever its name), or a directory, of which counts, in this order,
 * `model.safetensors`; the files that `model.safetensors.index.json` names; every `*.safetensors` file. Reads headers
 * only. Weight files may be symbolic links to anywhere: they are served only if they parse. See `model-files.ts` for
 * what counts as a model file.
 *
 * @throws WeightcastError `ERR_NOT_FOUND` when there is nothing at `path`; `ERR_MODEL_INVALID`, with `file` and where
 * possible `tensor`, when it holds no tensors, an invalid file, an index that does not fit its files, or the same
 * tensor twice; `ERR_IO`.
 */
export async function openModel(path: string): Promise<Model> {
  try {
    const absolute = resolve(path);
    const found = await stat(absolute);
    if (!found.isDirectory()) return await readModel(dirname(absolute), [basename(absolute)], undefined);
    const names = (await readdir(absolute)).filter((name) => name.endsWith('.safetensors') && !name.startsWith('.'));
    if (names.includes(singleFileName)) return await readModel(absolute, [singleFileName], false);
    const index = await readIndexIfThere(join(absolute, indexFileName));
    if (index !== undefined) return await readSharded(absolute, index, new Set(names));
    if (names.length > 0) return await readModel(absolute, names.sort(), false);
  } catch (error) {
    throw toWeightcastError(error, { doing: `cannot open the model ${path}`, file: path });
  }
  throw modelInvalid(path, undefined, `holds no ${singleFileName}, no ${indexFileName} and no *.safetensors file`);
}

async function readIndexIfThere(path: string): Promise<Map<string, string> | undefined> {
  try {
    return await readIndex(path);
  } catch (error) {
    if (toWeightcastError(error).code === 'ERR_NOT_FOUND') return undefined;
    throw error;
  }
}

async function readSharded(dir: string, index: ReadonlyMap<string, string>, present: ReadonlySet<string>): Promise<Model> {
  const indexPath = join(dir, indexFileName);
  if (index.size === 0) throw modelInvalid(indexPath, undefined, 'names no tensors');
  for (const [tensor, file] of index) {
    if (!present.has(file))
      throw modelInvalid(indexPath, tensor, `is mapped to ${quote(file)}, which is not a *.safetensors file of ${dir}`);
  }
  const model = await readModel(dir, [...new Set(index.values())].sort(), true);
  const fileOf = new Map(model.tensors.map(({ name, file }) => [name, model.weightFiles[file]?.name]));
  for (const [tensor, file] of index) {
    const actual = fileOf.get(tensor);
    if (actual !== file) {
      const where = actual === undefined ? 'which lacks it' : `but is in ${quote(actual)}`;
      throw modelInvalid(indexPath, tensor, `is mapped to ${quote(file)}, ${where}`);
    }
  }
  return model;
}

/** `usesIndex` undefined: only the weight files, without their neighbours. */
async function readModel(dir: string, names: readonly string[], usesIndex: boolean | undefined): Promise<Model> {
  const weightFiles: WeightFile[] = [];
  const tensors: ModelTensor[] = [];
  const seen = new Map<string, string>();
  for (const [file, name] of names.entries()) {
    const path = join(dir, name);
    const { header, dataOffset, dataBytes, tensors: entries } = await readHeader(path);
    weightFiles.push({ name, path, header, dataOffset, dataBytes });
    for (const entry of entries) {
      const other = seen.get(entry.name);
      if (other !== undefined) throw modelInvalid(path, entry.name, `is also in ${other}: remove one of the two files, or add an index`);
      seen.set(entry.name, name);
      tensors.push({ ...entry, file });
    }
  }
  if (tensors.length === 0) throw modelInvalid(dir, undefined, `${names.join(', ')} hold no tensors`);
  const beside = usesIndex === undefined ? { files: [], skipped: [] } : await listModelFiles(dir, usesIndex);
  return { dir, weightFiles, tensors, modelFiles: beside.files, skippedFiles: beside.skipped };
}

/** `model.safetensors.index.json`: which tensor is in which file of a sharded checkpoint. */
import { readFile, stat } from 'node:fs/promises';
import { toWeightcastError } from '../errors.js';
import { JsonCursor, decodeUtf8 } from './json-cursor.js';
import { modelInvalid, quote } from './model-error.js';

/** The name that checkpoints give it. */
export const indexFileName = 'model.safetensors.index.json';
/** Bytes; the index of 92 000 tensors (DeepSeek-V3) has 9 MB. */
const maxIndexBytes = 256 * 1024 * 1024;

/**
 * Tensor name → file name. File names are plain: the index may point to nothing outside of its own directory.
 *
 * @param file The name that errors carry.
 * @throws WeightcastError `ERR_MODEL_INVALID`, with `tensor` where one is at fault.
 */
export function parseIndex(content: Buffer, file: string): Map<string, string> {
  let tensor: string | undefined;
  const fail = (what: string): never => {
    throw modelInvalid(file, tensor, what);
  };
  const json = new JsonCursor(decodeUtf8(content, fail), fail);
  let weightMap: Map<string, string> | undefined;
  json.object((key) => {
    if (key !== 'weight_map') {
      json.skip();
      return;
    }
    const map = new Map<string, string>();
    weightMap = map;
    json.object((name) => {
      tensor = name;
      const target = json.string();
      if (!isPlainFileName(target)) fail(`is mapped to ${quote(target)}, which is not a plain file name in the same directory`);
      map.set(name, target);
      tensor = undefined;
    });
  });
  json.end();
  return weightMap ?? fail('lacks weight_map');
}

/**
 * Reads and checks an index file.
 *
 * @throws WeightcastError `ERR_MODEL_INVALID`, `ERR_NOT_FOUND`, `ERR_IO`.
 */
export async function readIndex(path: string): Promise<Map<string, string>> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw modelInvalid(path, undefined, 'is not a regular file');
    if (found.size > maxIndexBytes)
      throw modelInvalid(path, undefined, `${found.size} bytes are too many for an index: the limit is ${maxIndexBytes}`);
    return parseIndex(await readFile(path), path);
  } catch (error) {
    throw toWeightcastError(error, { doing: `cannot read the index ${path}`, file: path });
  }
}

function isPlainFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name);
}

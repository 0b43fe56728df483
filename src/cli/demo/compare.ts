/**
 * The demo's judge: reads both models with a reader of its own, which shares no code with the library's, and compares
 * every byte.
 */
import { open, readdir, readFile, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface Comparison {
  /** Tensors and bytes that were found equal. */
  readonly tensors: number;
  readonly bytes: bigint;
  /** Files beside the weights (config.json, the tokenizer) that were found equal. */
  readonly otherFiles: number;
  /** What is not equal, in sentences. */
  readonly differences: readonly string[];
}

interface Entry {
  readonly file: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly start: number;
  readonly end: number;
}

const chunkBytes = 4 << 20;
const indexName = 'model.safetensors.index.json';

/** Compares the model at `expected` (a directory or a file) with the directory `actual`. */
export async function compareModels(expected: string, actual: string, signal?: AbortSignal): Promise<Comparison> {
  const wanted = await readTensors(await weightFiles(expected));
  const found = await readTensors((await namesIn(actual)).filter(isWeights).map((name) => join(actual, name)));
  const differences = [...found.keys()]
    .filter((name) => !wanted.has(name))
    .map((name) => `tensor ${name} arrived, but the seed's model has none of that name`);
  let tensors = 0;
  let bytes = 0n;
  for (const [name, entry] of wanted) {
    signal?.throwIfAborted();
    const difference = await tensorDifference(entry, found.get(name));
    if (difference === '') {
      tensors += 1;
      bytes += BigInt(entry.end - entry.start);
    } else {
      differences.push(`tensor ${name} ${difference}`);
    }
  }
  const others = await compareOtherFiles(expected, actual);
  return { tensors, bytes, otherFiles: others.equal, differences: [...differences, ...others.differences] };
}

function isWeights(name: string): boolean {
  return name.endsWith('.safetensors');
}

async function namesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
}

/** A directory may hold the same tensors twice; what counts is model.safetensors, else the index, else all files. */
async function weightFiles(model: string): Promise<string[]> {
  if (!(await stat(model)).isDirectory()) return [model];
  const names = await namesIn(model);
  if (names.includes('model.safetensors')) return [join(model, 'model.safetensors')];
  if (!names.includes(indexName)) return names.filter(isWeights).map((name) => join(model, name));
  const index = JSON.parse(await readFile(join(model, indexName), 'utf8')) as { weight_map: Record<string, string> };
  return [...new Set(Object.values(index.weight_map))].map((name) => join(model, name));
}

async function readTensors(files: readonly string[]): Promise<Map<string, Entry>> {
  const tensors = new Map<string, Entry>();
  for (const file of files) {
    const handle = await open(file, 'r');
    try {
      const headerBytes = Number((await readExactly(handle, 0, 8)).readBigUInt64LE());
      const header = JSON.parse((await readExactly(handle, 8, headerBytes)).toString('utf8')) as Record<
        string,
        { dtype: string; shape: number[]; data_offsets: [number, number] }
      >;
      for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
        if (name === '__metadata__') continue;
        const data = 8 + headerBytes;
        tensors.set(name, { file, dtype, shape, start: data + range[0], end: data + range[1] });
      }
    } finally {
      await handle.close();
    }
  }
  return tensors;
}

async function readExactly(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) throw new RangeError(`the file ends at ${String(position + filled)}, before ${String(position + length)}`);
    filled += bytesRead;
  }
  return buffer;
}

/** `''` when equal, else the end of a sentence about the tensor. */
async function tensorDifference(wanted: Entry, found: Entry | undefined): Promise<string> {
  if (found === undefined) return 'did not arrive';
  if (found.dtype !== wanted.dtype) return `is ${found.dtype} and should be ${wanted.dtype}`;
  if (found.shape.join() !== wanted.shape.join())
    return `has shape [${found.shape.join(', ')}] and should have [${wanted.shape.join(', ')}]`;
  const length = wanted.end - wanted.start;
  if (found.end - found.start !== length) return `has ${String(found.end - found.start)} bytes and should have ${String(length)}`;
  const [left, right] = await Promise.all([open(wanted.file, 'r'), open(found.file, 'r')]);
  try {
    for (let done = 0; done < length; done += chunkBytes) {
      const size = Math.min(chunkBytes, length - done);
      const [a, b] = await Promise.all([readExactly(left, wanted.start + done, size), readExactly(right, found.start + done, size)]);
      if (!a.equals(b)) return `differs at byte ${String(done + a.findIndex((byte, index) => byte !== b[index]))}`;
    }
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
  return '';
}

/** Every file beside the weights that arrived must be the seed's. */
async function compareOtherFiles(expected: string, actual: string): Promise<{ equal: number; differences: string[] }> {
  const source = (await stat(expected)).isDirectory() ? expected : dirname(expected);
  const differences: string[] = [];
  const names = (await namesIn(actual)).filter((name) => !isWeights(name));
  for (const name of names) {
    const [a, b] = await Promise.all([readFile(join(source, name)).catch(() => undefined), readFile(join(actual, name))]);
    if (a?.equals(b) !== true) differences.push(`file ${basename(name)} is not the seed's`);
  }
  return { equal: names.length - differences.length, differences };
}

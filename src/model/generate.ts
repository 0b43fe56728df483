/** Checkpoints made up on the spot, for benchmarks, demonstrations and tests: real names and shapes, random bytes. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toWeightcastError, WeightcastError } from '../errors.js';
import { defaultConfig, generationConfig, indexText, jsonText, tokenizer } from './checkpoint-files.js';
import { ChunkWriter } from './chunk-writer.js';
import { dtypes, tensorBytes } from './dtypes.js';
import { indexFileName } from './model-index.js';
import { buildHeader, lengthPrefix } from './safetensors.js';
import { contentScratch, tensorContent } from './tensor-content.js';
import { placeTensors, type TensorSpec } from './tensor.js';

/** How to generate. */
export interface GenerateOptions {
  /** Other seeds, other bytes; default 0. */
  readonly seed?: number;
  /** Most bytes of the data section of a file; a larger tensor has a file of its own. Default 5 000 000 000. */
  readonly maxFileBytes?: number;
  /** Goes into `config.json`; default: a few words that say it is generated. */
  readonly config?: Readonly<Record<string, unknown>>;
}

interface Shard {
  readonly name: string;
  readonly specs: readonly TensorSpec[];
}

/**
 * Writes a checkpoint into `dir`, which must be empty or absent: `model.safetensors`, or `model-00001-of-0000N.safetensors`
 * and so on with their index; `config.json`, `generation_config.json`, `tokenizer.json`. Specs fill the files in their
 * order; inside of a file tensors lie as the reference implementation lays them out (wide dtypes first, then by name).
 * The bytes are {@link tensorContent}: of a tensor the same in whatever file it is. Holds about 20 MB, whatever the size
 * of the model. Nothing is synced to disk. What was written is removed again when it fails.
 *
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for no specs, duplicate or reserved names, and impossible shapes;
 * `ERR_ALREADY_EXISTS`, `ERR_DISK_FULL`, `ERR_IO`.
 */
export async function generateModel(dir: string, specs: readonly TensorSpec[], options: GenerateOptions = {}): Promise<void> {
  const { seed = 0, maxFileBytes = 5_000_000_000, config = defaultConfig } = options;
  if (specs.length === 0) throw invalid('generateModel: expected at least one tensor');
  if (!Number.isFinite(maxFileBytes) || maxFileBytes < 1) {
    throw invalid(`generateModel: expected a number ≥ 1 for maxFileBytes but received ${maxFileBytes}`);
  }
  const shards = split(specs, BigInt(Math.floor(maxFileBytes)));
  const files = new Map(shards.map(({ name, specs: own }) => [name, own.map((spec) => spec.name)]));
  requireUniqueNames(specs);
  const texts = new Map([
    ['config.json', jsonText(config)],
    ['generation_config.json', jsonText(generationConfig(config))],
    ['tokenizer.json', jsonText(tokenizer())],
  ]);
  if (shards.length > 1) texts.set(indexFileName, indexText(files, totalBytes(specs)));
  try {
    await mkdir(dir, { recursive: true });
    if ((await readdir(dir)).length > 0)
      throw new WeightcastError('ERR_ALREADY_EXISTS', `generateModel: ${dir} is not empty`, { file: dir });
    const created: string[] = [];
    try {
      for (const { name, specs: own } of shards) await write(join(dir, name), created, (writer) => writeTensors(writer, own, seed));
      for (const [name, text] of texts) await write(join(dir, name), created, (writer) => writer.append(Buffer.from(text)));
    } catch (error) {
      for (const path of created) await rm(path, { force: true });
      throw error;
    }
  } catch (error) {
    throw toWeightcastError(error, { doing: `cannot generate a model in ${dir}`, file: dir });
  }
}

/** Fills files in the order of the specs. */
function split(specs: readonly TensorSpec[], maxFileBytes: bigint): Shard[] {
  const groups: TensorSpec[][] = [];
  let room = -1n;
  for (const spec of specs) {
    const bytes = tensorBytes(spec.dtype, spec.shape);
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = maxFileBytes;
    }
    groups.at(-1)?.push(spec);
    room -= bytes;
  }
  if (groups.length === 1) return [{ name: 'model.safetensors', specs }];
  const number = (value: number): string => String(value).padStart(5, '0');
  return groups.map((group, index) => ({
    name: `model-${number(index + 1)}-of-${number(groups.length)}.safetensors`,
    specs: group,
  }));
}

/** Writes a new file; its path is in `created` as soon as there is something to remove. */
async function write(path: string, created: string[], fill: (writer: ChunkWriter) => Promise<void>): Promise<void> {
  const writer = await ChunkWriter.create(path);
  created.push(path);
  try {
    await fill(writer);
    await writer.flush();
  } finally {
    await writer.close();
  }
}

async function writeTensors(writer: ChunkWriter, specs: readonly TensorSpec[], seed: number): Promise<void> {
  const entries = placeTensors([...specs].sort(byLayout));
  const header = buildHeader(entries, { format: 'pt' });
  await writer.append(lengthPrefix(header));
  await writer.append(header);
  const scratch = contentScratch();
  for (const { name, dtype, bytes } of entries) {
    const next = tensorContent(seed, name, dtype, scratch);
    for (let left = bytes; left > 0n;) {
      const part = next(left);
      left -= BigInt(part.length);
      await writer.append(part);
    }
  }
}

const layoutRank = new Map(dtypes.map((dtype, index) => [dtype, index]));

function byLayout(a: TensorSpec, b: TensorSpec): number {
  const rank = (layoutRank.get(b.dtype) ?? 0) - (layoutRank.get(a.dtype) ?? 0);
  return rank !== 0 ? rank : a.name < b.name ? -1 : 1;
}

function requireUniqueNames(specs: readonly TensorSpec[]): void {
  const names = new Set<string>();
  for (const { name } of specs) {
    if (names.has(name)) throw invalid(`generateModel: two tensors are called ${JSON.stringify(name)}`);
    names.add(name);
  }
}

function totalBytes(specs: readonly TensorSpec[]): bigint {
  return specs.reduce((total, { dtype, shape }) => total + tensorBytes(dtype, shape), 0n);
}

function invalid(what: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', what);
}

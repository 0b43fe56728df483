/** The model of the demo: the given one, or one with the tensor names, dtypes and shapes of Qwen2.5-7B, scaled down. */
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightcastError } from '../../errors.js';
import { tensorBytes } from '../../model/dtypes.js';
import { generateModel } from '../../model/generate.js';
import { qwen2_5_7b, qwen2_5_7bConfig } from '../../model/shapes/index.js';
import { formatBytes } from '../format.js';

/** Generated models come in so many files, so that the way of sharded models is taken. */
const files = 4;

/** Room for headers, config and the file system's own needs, bytes. */
const slackBytes = 16_000_000;

export interface GeneratedModel {
  readonly scale: number;
  readonly bytes: bigint;
}

/** Writes a model of about so many bytes into a directory that does not exist yet. */
export async function generateDemoModel(directory: string, wantedBytes: number): Promise<GeneratedModel> {
  const scale = scaleFor(wantedBytes);
  const bytes = bytesAt(scale);
  await generateModel(directory, qwen2_5_7b({ scale }), {
    maxFileBytes: Math.ceil(Number(bytes) / files),
    config: qwen2_5_7bConfig({ scale }),
  });
  return { scale, bytes };
}

/** The scale whose size comes nearest; size falls as scale grows. */
export function scaleFor(wantedBytes: number): number {
  let low = 1;
  let high = 256;
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2;
    if (Number(bytesAt(middle)) > wantedBytes) low = middle;
    else high = middle;
  }
  const miss = (scale: number): number => Math.abs(Number(bytesAt(scale)) - wantedBytes);
  return miss(low) < miss(high) ? low : high;
}

function bytesAt(scale: number): bigint {
  return qwen2_5_7b({ scale }).reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0n);
}

/** Bytes of the files of a model on disk. @throws ERR_NOT_FOUND */
export async function bytesOnDisk(model: string): Promise<number> {
  const found = await stat(model).catch((error: unknown) => {
    throw new WeightcastError('ERR_NOT_FOUND', `there is no model at ${model}`, { cause: error, file: model });
  });
  if (!found.isDirectory()) return found.size;
  const sizes = await Promise.all((await readdir(model)).map(async (name) => stat(join(model, name))));
  return sizes.reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

/** @throws ERR_DISK_FULL before anything is written, when the directory's file system cannot hold so many bytes. */
export async function requireSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes + slackBytes) return;
  throw new WeightcastError(
    'ERR_DISK_FULL',
    `the demo needs ${formatBytes(bytes + slackBytes)} in ${directory}, which has ${formatBytes(free)}; give a smaller --bytes, or set TMPDIR to a larger file system`,
    { file: directory },
  );
}

/** Opening the LevelDB folder, with errors that say what to do. */
import { mkdir } from 'node:fs/promises';
import type * as Package from 'classic-level';
import { toWeightcastError, WeightcastError } from '../../../errors.js';

export type Level = Package.ClassicLevel<Buffer, Buffer>;

/**
 * @param importPackage an optional dependency: only those who use this store need it.
 * @throws ERR_STORE when the package is missing, or the folder is in use, cannot be used, or is damaged.
 */
export async function openLevel(folder: string, importPackage = (): Promise<typeof Package> => import('classic-level')): Promise<Level> {
  const { ClassicLevel } = await importPackage().catch((error: unknown) => {
    const text = 'the durable store needs the package classic-level, which cannot be loaded: run `npm install classic-level`';
    throw new WeightcastError('ERR_STORE', text, { cause: error });
  });
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw openFailure(folder, error);
  }
  // Records are large and seldom read: few, large files, and no cache of blocks.
  const options = { keyEncoding: 'buffer', valueEncoding: 'buffer', writeBufferSize: 32 * 1024 * 1024, cacheSize: 0 } as const;
  const level: Level = new ClassicLevel<Buffer, Buffer>(folder, options);
  try {
    await level.open();
    return level;
  } catch (error) {
    await level.close().catch(() => undefined);
    throw openFailure(folder, error);
  }
}

/** As an error that says what to do; one that says so already stays as it is. */
export function openFailure(folder: string, error: unknown): WeightcastError {
  if (error instanceof WeightcastError) return error;
  return new WeightcastError('ERR_STORE', `cannot open the durable store in ${folder}: ${messageOf(error)}; ${advice(error)}`, {
    cause: error,
    file: folder,
  });
}

export function messageOf(error: unknown): string {
  return toWeightcastError(reasonOf(error)).message;
}

/** LevelDB's own words are the cause of what the package throws. */
function reasonOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error;
}

function advice(error: unknown): string {
  const { code } = reasonOf(error) as { code?: unknown };
  if (code === 'LEVEL_LOCKED') return 'another process uses it; one server at a time may, several need the Redis store';
  if (code === 'LEVEL_CORRUPTION') {
    return 'the folder is damaged; move it away and start again: workers that still run publish themselves again after two heartbeats';
  }
  return 'give a folder on a disk with free space that this process may create and write';
}

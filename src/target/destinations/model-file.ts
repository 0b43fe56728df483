import { createHash } from 'node:crypto';
import { WeightcastError, throwIfAborted } from '../../errors.js';
import type { Catalog } from '../catalog.js';
import type { FetchFile } from './destination.js';

/**
 * A model file's bytes as they come. What was yielded counts only when the end is reached.
 * @throws ERR_CHECKSUM_MISMATCH at the end, when size or SHA-256 are not what the seed announced; ERR_ABORTED.
 */
export async function* fetchVerified(
  file: Catalog['modelFiles'][number],
  fetchFile: FetchFile,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let size = 0n;
  for await (const chunk of fetchFile(file.name)) {
    throwIfAborted(signal, 'write');
    size += BigInt(chunk.length);
    if (size > file.size) break;
    hash.update(chunk);
    yield chunk;
  }
  if (size === file.size && hash.digest('hex') === file.sha256) return;
  const announced = `${file.name} differs from what the seed announced (${String(file.size)} bytes)`;
  throw new WeightcastError('ERR_CHECKSUM_MISMATCH', `${announced}; it may have changed there`, { file: file.name });
}

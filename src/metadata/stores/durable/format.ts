/** Which format the folder is in. */
import { WeightcastError } from '../../../errors.js';
import type { Logger } from '../../../observe/logger.js';
import type { Level } from './level.js';

/** To be raised when a release could no longer read what this one writes, or the other way round. */
const version = 1;

/** Its first byte is that of no other key. Every later format keeps it, with the version as decimal text. */
export const formatKey = Buffer.from('format');

/**
 * Marks a folder that is empty.
 *
 * @throws ERR_STORE for a folder of a later version, or of another program.
 */
export async function checkFormat(level: Level, folder: string, logger: Logger): Promise<void> {
  const found = (await level.get(formatKey))?.toString('latin1');
  if (found === String(version)) return;
  const refused = (text: string): WeightcastError =>
    new WeightcastError('ERR_STORE', `cannot open the durable store in ${folder}: ${text}`, { file: folder });
  if (found !== undefined && /^[1-9]\d{0,8}$/.test(found)) {
    throw refused(`it has format ${found}, this release reads format ${String(version)}; run the release that wrote it, or move it away`);
  }
  if (found === undefined) {
    for await (const key of level.keys({ limit: 1 })) {
      throw refused(
        `it is a database of another program (its first key is ${JSON.stringify(key.toString('latin1'))}); give another folder`,
      );
    }
  } else {
    logger.warn('the format of the durable store is damaged; taking it for the current one', { folder });
  }
  await level.put(formatKey, Buffer.from(String(version)), { sync: true });
}

/** Reading everything that the folder holds into memory. */
import type { Logger } from '../../../observe/logger.js';
import type { MemoryStore } from '../memory.js';
import type { SourceAttributes, WorkerRecord } from '../store.js';
import { decodeKey, type Key } from './keys.js';
import type { Level } from './level.js';
import { decodeLive, decodeRank, decodeRecord, decodeSource, type Live } from './values.js';

interface FoundWorker {
  readonly records: Map<number, WorkerRecord>;
  readonly live: Map<number, Live>;
  representative: number | undefined;
}

interface FoundSource {
  attributes: SourceAttributes | undefined;
  readonly workers: Map<string, FoundWorker>;
}

/** What {@link load} found. */
export interface Loaded {
  readonly workers: number;
  /** Entries that could not be read, and records without a readable source. */
  readonly skipped: number;
}

/** Entries that are damaged are left out, each with a warning. @throws what LevelDB throws when it cannot read on. */
export async function load(level: Level, memory: MemoryStore, logger: Logger): Promise<Loaded> {
  const found = new Map<string, FoundSource>();
  let skipped = 0;
  const skip = (entry: object, error: unknown): void => {
    skipped++;
    logger.warn('an entry of the durable store is skipped: it is damaged', { ...entry, reason: String(error) });
  };
  for await (const [bytes, value] of level.iterator()) {
    let key: Key | undefined;
    try {
      key = decodeKey(bytes);
      if (key !== undefined) take(found, key, value);
    } catch (error) {
      skip(key ?? { key: bytes.toString('hex') }, error);
    }
  }
  let workers = 0;
  for (const [sourceId, { attributes, workers: ofSource }] of found) {
    for (const [workerId, worker] of ofSource) {
      if (worker.records.size === 0) continue;
      if (attributes === undefined) {
        skip({ sourceId, workerId }, 'its source cannot be read');
        continue;
      }
      for (const record of inOrder(worker)) await memory.publish(sourceId, workerId, attributes, record);
      workers++;
    }
  }
  return { workers, skipped };
}

function take(found: Map<string, FoundSource>, key: Key, value: Buffer): void {
  const source = found.get(key.sourceId) ?? { attributes: undefined, workers: new Map<string, FoundWorker>() };
  found.set(key.sourceId, source);
  if (key.kind === 'source') {
    source.attributes = decodeSource(value);
    return;
  }
  const worker = source.workers.get(key.workerId) ?? { records: new Map(), live: new Map(), representative: undefined };
  source.workers.set(key.workerId, worker);
  if (key.kind === 'representative') worker.representative = decodeRank(value);
  else if (key.kind === 'live') worker.live.set(key.rank, decodeLive(value));
  else worker.records.set(key.rank, decodeRecord(value));
}

/** The records with their live status, the representative last, as if they were published one after the other. */
function inOrder({ records, live, representative }: FoundWorker): WorkerRecord[] {
  return [...records.values()]
    .map((record) => ({ ...record, ...live.get(record.workerRank) }))
    .sort((a, b) => Number(a.workerRank === representative) - Number(b.workerRank === representative));
}

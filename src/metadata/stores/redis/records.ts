/** Records of workers: decoded once, and kept for as long as they are the same. */
import { createHash } from 'node:crypto';
import type { StoredRecord, WorkerRecord } from '../store.js';
import { attributesField } from '../reserved.js';
import type { AttributesCache } from './attributes-cache.js';
import type { RedisConnection } from './connection.js';
import { sourceKey, statusField, workerKey } from './keys.js';
import { Recent } from './recent.js';
import { decodeRecord } from './record-json.js';
import { findWorker } from './scripts.js';
import { SharedReads } from './shared-reads.js';
import { decodeSummary } from './summary-json.js';
import type { TrackedKeys } from './tracked-keys.js';

interface KnownRecord {
  readonly rank: string;
  /** Of the record's text. */
  readonly digest: string;
  /** As stored. */
  readonly record: WorkerRecord;
  token: symbol;
  /** The record with the status of this summary. */
  live: { readonly summary: string | null; readonly record: WorkerRecord };
}

/** The worker's lowest rank, its summary, the source's attributes, and the length of the record's text. */
type Found = [rank: string, summary: string | null, attributes: string | null, recordBytes: number];

export interface RecordsOptions {
  /** For reading hashes of workers; its invalidations go to `tracked`. */
  readonly reads: RedisConnection;
  readonly tracked: TrackedKeys;
  readonly attributes: AttributesCache;
  /** How much of what was decoded is kept. */
  readonly cacheBytes: number;
}

/** Reading a record costs megabytes; whether it is still the same costs one short reply. */
export class Records {
  readonly #options: RecordsOptions;
  readonly #known: Recent<KnownRecord>;
  readonly #reads = new SharedReads<WorkerRecord | undefined>();

  constructor(options: RecordsOptions) {
    this.#options = options;
    this.#known = new Recent(options.cacheBytes, (key) => {
      options.tracked.forget(key);
    });
  }

  /**
   * The worker's lowest rank with its live status.
   *
   * @throws Error when its record is none.
   */
  async get(sourceId: string, workerId: string): Promise<StoredRecord | undefined> {
    const { reads, tracked, attributes } = this.#options;
    const key = workerKey(sourceId, workerId);
    const found = (await reads.run(findWorker, [key, sourceKey(sourceId)], [attributesField])) as Found | [];
    if (found.length === 0) {
      this.#known.delete(key);
      tracked.forget(key);
      return undefined;
    }
    const [rank, summary, attributesText, recordBytes] = found;
    const known = this.#known.get(key);
    const isKnown = known?.rank === rank && tracked.isCurrent(key, known.token);
    const worker = isKnown
      ? withStatus(known, summary)
      : await this.#reads.read(`${rank}:${key}`, () => this.#read(key, rank, recordBytes));
    return worker === undefined ? undefined : { worker, source: attributes.decode(sourceId, attributesText) };
  }

  async #read(key: string, rank: string, expectedBytes: number): Promise<WorkerRecord | undefined> {
    const { reads, tracked } = this.#options;
    const token = tracked.token(key);
    const reply = await reads.send(['HMGET', key, rank, statusField(Number(rank))], { bytes: true, expectedBytes });
    const [text, summaryText] = reply as [Buffer | null, Buffer | null];
    if (text === null) {
      tracked.forget(key);
      return undefined;
    }
    const summary = summaryText === null ? null : summaryText.toString();
    const digest = createHash('sha256').update(text).digest('base64');
    let known = this.#known.get(key);
    if (known?.rank === rank && known.digest === digest) {
      known.token = token;
      return withStatus(known, summary);
    }
    const record = await decode(text, key, rank);
    known = { rank, digest, record, token, live: { summary: null, record } };
    this.#known.set(key, known, weightOf(record));
    return withStatus(known, summary);
  }
}

async function decode(text: Buffer, key: string, rank: string): Promise<WorkerRecord> {
  try {
    return await decodeRecord(text.toString());
  } catch (error) {
    throw new Error(`the record in field ${rank} of ${key} cannot be read: ${String(error)}`, { cause: error });
  }
}

/** The same record for as long as the summary is the same. The summary counts when it is not older than the record. */
function withStatus(known: KnownRecord, text: string | null): WorkerRecord {
  if (known.live.summary !== text) {
    const summary = text === null ? undefined : decodeSummary(text);
    const { record } = known;
    const live =
      summary === undefined || summary.updatedAt < record.updatedAt
        ? record
        : { ...record, status: summary.status, updatedAt: summary.updatedAt, sourceLoad: summary.sourceLoad };
    known.live = { summary: text, record: live };
  }
  return known.live.record;
}

function weightOf({ envelope, payload }: WorkerRecord): number {
  return 1024 + envelope.length + (payload.kind === 'tensors' ? payload.entries.length : payload.message.length);
}

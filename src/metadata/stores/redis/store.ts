/** The store that is shared: with other Weightcast servers, and with ModelExpress' own. */
import type { Logger } from '../../../observe/logger.js';
import { attributesField } from '../reserved.js';
import type { MetadataStore, SourceAttributes, StatusUpdate, StoredRecord, StoreName, WorkerListing, WorkerRecord } from '../store.js';
import { AttributesCache } from './attributes-cache.js';
import { encodeAttributes } from './attributes-json.js';
import { ChangedWorkers } from './changed-workers.js';
import { type ConnectionOptions, RedisConnection } from './connection.js';
import { isSourceId, sourceIdOf, sourceKey, sourcePattern, statusField, workerKey } from './keys.js';
import { Listings } from './listings.js';
import { decodeRecord, encodeRecord } from './record-json.js';
import { Records } from './records.js';
import { removeWorker, setStatus, StatusOutcome } from './scripts.js';
import { decodeSummary, encodeSummary } from './summary-json.js';
import { TrackedKeys } from './tracked-keys.js';

export interface RedisStoreOptions {
  readonly connection: Omit<ConnectionOptions, 'name' | 'onInvalidate'>;
  readonly connectLimitMs: number;
  readonly consultRecords: boolean;
  readonly cacheBytes: number;
  readonly logger: Logger;
}

/** Keys that Redis looks at in one step of an enumeration. */
const scanCount = '1000';

/** Sources that are listed at the same time. */
const sourcesAtOnce = 64;

/** Attempts to update a status that others keep changing at the same time. */
const updateAttempts = 20;

/**
 * Nothing is kept here but caches by content, so that several stores on one Redis are as one: what one of them has acknowledged
 * is in the next answer of every other.
 */
export class RedisStore implements MetadataStore {
  readonly name: StoreName = 'redis';
  readonly #commands: RedisConnection;
  readonly #reads: RedisConnection;
  readonly #listings: Listings;
  readonly #records: Records;
  /** As scripts take it. */
  readonly #consultRecords: string;

  private constructor(
    [commands, reads]: readonly [RedisConnection, RedisConnection],
    { tracked, changed }: { readonly tracked: TrackedKeys; readonly changed: ChangedWorkers },
    options: RedisStoreOptions,
  ) {
    this.#commands = commands;
    this.#reads = reads;
    const { consultRecords, cacheBytes } = options;
    const attributes = new AttributesCache();
    this.#listings = new Listings({ commands, reads, tracked, changed, attributes, consultRecords });
    this.#records = new Records({ reads, tracked, attributes, cacheBytes });
    this.#consultRecords = consultRecords ? '1' : '0';
  }

  /** @throws ERR_STORE when Redis cannot be reached in time or refuses the connection. */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const { connection, connectLimitMs } = options;
    const tracked = new TrackedKeys();
    const changed = new ChangedWorkers();
    const onInvalidate = (key: string | undefined): void => {
      tracked.forget(key);
      changed.note(key);
    };
    const opening = [
      RedisConnection.open({ ...connection, name: 'weightcast' }, connectLimitMs),
      RedisConnection.open({ ...connection, name: 'weightcast-reads', onInvalidate }, connectLimitMs),
    ] as const;
    try {
      // Together: where the second fails first, nobody would be waiting for it yet, and that ends the process.
      return new RedisStore(await Promise.all(opening), { tracked, changed }, options);
    } catch (error) {
      for (const result of await Promise.allSettled(opening)) if (result.status === 'fulfilled') await result.value.close();
      throw error;
    }
  }

  async check(): Promise<void> {
    await Promise.all([this.#commands.send(['PING']), this.#reads.send(['PING'])]);
  }

  async publish(sourceId: string, workerId: string, source: SourceAttributes, worker: WorkerRecord): Promise<void> {
    if (!isSourceId(sourceId)) throw new Error(`'${sourceId}' is no source id: expected 16 characters without a colon`);
    if (workerId === attributesField) throw new Error(`'${workerId}' cannot be a worker id: Redis keeps the source's attributes there`);
    const key = workerKey(sourceId, workerId);
    const summary = encodeSummary(worker);
    await this.#commands.transaction([
      ['HSET', key, String(worker.workerRank), await encodeRecord(worker)],
      ['HSET', key, statusField(worker.workerRank), summary],
      ['HSET', sourceKey(sourceId), attributesField, encodeAttributes(source)],
      ['HSET', sourceKey(sourceId), workerId, summary],
    ]);
  }

  async list(sourceId?: string): Promise<readonly WorkerListing[]> {
    if (sourceId !== undefined) return isSourceId(sourceId) ? this.#listings.list(sourceId) : [];
    const sourceIds = await this.#sourceIds();
    this.#listings.keepOnly(sourceIds);
    const all = [...sourceIds];
    const listings: WorkerListing[] = [];
    for (let from = 0; from < all.length; from += sourcesAtOnce) {
      const some = await Promise.all(all.slice(from, from + sourcesAtOnce).map((id) => this.#listings.list(id)));
      for (const workers of some) for (const worker of workers) listings.push(worker);
    }
    return listings;
  }

  async get(sourceId: string, workerId: string): Promise<StoredRecord | undefined> {
    return isSourceId(sourceId) ? this.#records.get(sourceId, workerId) : undefined;
  }

  async updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, ifUpdatedAt?: bigint): Promise<boolean> {
    if (!isSourceId(sourceId) || workerId === attributesField) return false;
    const key = workerKey(sourceId, workerId);
    const [rank, field, time] = [String(workerRank), statusField(workerRank), String(update.updatedAt)];
    let found = ((await this.#commands.send(['HGET', key, field])) as string | null) ?? '';
    for (let attempt = 0; attempt < updateAttempts; attempt++) {
      const carried = decodeSummary(found) ?? (await this.#recorded(key, rank));
      if (carried === undefined) return false;
      const summary = encodeSummary({ ...carried, workerRank, ...update, sourceLoad: update.sourceLoad });
      const condition = ifUpdatedAt === undefined ? '' : String(ifUpdatedAt);
      const args = [rank, field, workerId, summary, time, found, condition, this.#consultRecords];
      const [outcome, current] = (await this.#commands.run(setStatus, [key, sourceKey(sourceId)], args)) as [number, string?];
      if (outcome !== StatusOutcome.changed) return outcome === StatusOutcome.written || outcome === StatusOutcome.older;
      found = current ?? '';
    }
    throw new Error(`the status of rank ${rank} of ${key} is changed by others all the time`);
  }

  async removeWorker(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Promise<boolean> {
    if (!isSourceId(sourceId) || workerId === attributesField) return false;
    const keys = [workerKey(sourceId, workerId), sourceKey(sourceId)];
    const condition = ifUpdatedAt === undefined ? '' : String(ifUpdatedAt);
    return (await this.#commands.run(removeWorker, keys, [workerId, condition, this.#consultRecords, attributesField])) === 1;
  }

  async close(): Promise<void> {
    await Promise.all([this.#commands.close(), this.#reads.close()]);
  }

  /** What a heartbeat carries on of a record that was stored without a summary. */
  async #recorded(key: string, rank: string): Promise<Pick<WorkerRecord, 'accelerator' | 'topology'> | undefined> {
    const text = (await this.#commands.send(['HGET', key, rank])) as string | null;
    if (text === null) return undefined;
    return decodeRecord(text).catch(() => ({ accelerator: '', topology: {} }));
  }

  async #sourceIds(): Promise<Set<string>> {
    const sourceIds = new Set<string>();
    let cursor = '0';
    do {
      const reply = await this.#commands.send(['SCAN', cursor, 'MATCH', sourcePattern, 'COUNT', scanCount, 'TYPE', 'hash']);
      const [next, keys] = reply as [string, string[]];
      for (const key of keys) sourceIds.add(sourceIdOf(key));
      cursor = next;
    } while (cursor !== '0');
    return sourceIds;
  }
}

/** Listings of sources: made of one hash each, and kept for as long as the text that they were made of is the same. */
import type { SourceAttributes, WorkerListing } from '../store.js';
import { attributesField } from '../reserved.js';
import type { AttributesCache } from './attributes-cache.js';
import { noAttributes } from './attributes-json.js';
import type { RedisConnection } from './connection.js';
import { sourceKey, workerKey } from './keys.js';
import { isWhole, type RankReply, toListing } from './ranks.js';
import { readRanks } from './scripts.js';
import { SharedReads } from './shared-reads.js';
import type { TrackedKeys } from './tracked-keys.js';

/** Workers whose ranks are read in one step, which holds up all of Redis for about a millisecond. */
const batchWorkers = 100;

interface ListedWorker {
  /** The worker's field in the source's hash. */
  readonly text: string;
  readonly ranks: readonly RankReply[];
  /** All of it is in `text`: the worker's own hash has one rank, with the same summary. */
  readonly whole: boolean;
  /**
   * The same text means the same worker. A time of 0 does not tell two publications apart, and the second may be of a
   * worker that got another rank in between.
   */
  readonly settled: boolean;
  readonly listing: WorkerListing;
  /** The newest reading of the source in which the worker was. */
  reading: number;
}

/** A source as it was read last. Changed in place, by one reading at a time: there may be tens of thousands of workers. */
interface SourceView {
  readonly workers: Map<string, ListedWorker>;
  source: SourceAttributes;
  listings: readonly WorkerListing[];
  /** Nothing but a change of the source's hash can change the listings. */
  whole: boolean;
  token: symbol | undefined;
  readings: number;
}

export interface ListingsOptions {
  /** For reading hashes of sources; its invalidations go to `tracked`. */
  readonly reads: RedisConnection;
  readonly tracked: TrackedKeys;
  /** For everything else. */
  readonly commands: RedisConnection;
  readonly attributes: AttributesCache;
  /** Servers write to this Redis that send heartbeats to records. */
  readonly consultRecords: boolean;
}

/**
 * A worker's hash is read when the text of its field in the source's hash is new. That suffices, because every publication and
 * every heartbeat of the rank that represents the worker rewrites this field; workers with several ranks are read every time.
 */
export class Listings {
  readonly #options: ListingsOptions;
  readonly #views = new Map<string, SourceView>();
  readonly #reads = new SharedReads<readonly WorkerListing[]>();

  constructor(options: ListingsOptions) {
    this.#options = options;
  }

  /** All workers of a source. */
  async list(sourceId: string): Promise<readonly WorkerListing[]> {
    const { reads } = this.#options;
    const view = this.#views.get(sourceId);
    if (view?.whole === true && this.#isCurrent(sourceId, view)) {
      await reads.send(['PING']);
      if (this.#isCurrent(sourceId, view)) return view.listings;
    }
    return this.#reads.read(sourceId, () => this.#read(sourceId));
  }

  /** Forgets the sources that are not among these. */
  keepOnly(sourceIds: ReadonlySet<string>): void {
    for (const sourceId of this.#views.keys()) if (!sourceIds.has(sourceId)) this.#forget(sourceId);
  }

  #isCurrent(sourceId: string, { token }: SourceView): boolean {
    return token !== undefined && this.#options.tracked.isCurrent(sourceKey(sourceId), token);
  }

  async #read(sourceId: string): Promise<readonly WorkerListing[]> {
    const { reads, tracked } = this.#options;
    const token = tracked.token(sourceKey(sourceId));
    const fields = (await reads.send(['HGETALL', sourceKey(sourceId)])) as string[];
    if (fields.length === 0) {
      this.#forget(sourceId);
      return [];
    }
    const view = this.#views.get(sourceId) ?? emptyView();
    view.token = undefined;
    this.#views.set(sourceId, view);
    try {
      await this.#update(sourceId, view, fields);
    } catch (error) {
      // Half of it may have been changed.
      this.#forget(sourceId);
      throw error;
    }
    view.token = token;
    return view.listings;
  }

  /** @param fields names and values of the source's hash, in turns. */
  async #update(sourceId: string, view: SourceView, fields: readonly string[]): Promise<void> {
    const { workers } = view;
    const reading = ++view.readings;
    const unread: [workerId: string, text: string][] = [];
    let attributesText: string | undefined;
    let count = 0;
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const [workerId = '', text = ''] = [fields[at], fields[at + 1]];
      if (workerId === attributesField) {
        attributesText = text;
        continue;
      }
      count++;
      const known = workers.get(workerId);
      if (known !== undefined) known.reading = reading;
      if (known?.text !== text || !known.settled) unread.push([workerId, text]);
    }
    let changed = this.#setSource(view, this.#options.attributes.decode(sourceId, attributesText) ?? noAttributes);
    const ranks = await this.#readRanks(
      sourceId,
      unread.map(([workerId]) => workerId),
    );
    for (const [index, [workerId, text]] of unread.entries()) {
      changed = setWorker(view, sourceId, workerId, text, ranks[index] ?? []) || changed;
    }
    if (workers.size > count) {
      for (const [workerId, worker] of workers) if (worker.reading !== reading) workers.delete(workerId);
      changed = true;
    }
    if (!changed) return;
    const all = [...workers.values()];
    view.listings = all.map(({ listing }) => listing);
    view.whole = all.every(({ whole }) => whole);
  }

  /** Whether the listings have changed by it. */
  #setSource(view: SourceView, source: SourceAttributes): boolean {
    if (view.source === source) return false;
    view.source = source;
    for (const [workerId, worker] of view.workers) view.workers.set(workerId, { ...worker, listing: { ...worker.listing, source } });
    return true;
  }

  async #readRanks(sourceId: string, workerIds: readonly string[]): Promise<(readonly RankReply[])[]> {
    const { commands, consultRecords } = this.#options;
    const batches: Promise<unknown>[] = [];
    for (let from = 0; from < workerIds.length; from += batchWorkers) {
      const keys = workerIds.slice(from, from + batchWorkers).map((workerId) => workerKey(sourceId, workerId));
      batches.push(commands.run(readRanks, keys, [consultRecords ? '1' : '0']));
    }
    return ((await Promise.all(batches)) as RankReply[][][]).flat();
  }

  #forget(sourceId: string): void {
    this.#views.delete(sourceId);
    this.#options.tracked.forget(sourceKey(sourceId));
  }
}

function emptyView(): SourceView {
  return { workers: new Map(), source: noAttributes, listings: [], whole: true, token: undefined, readings: 0 };
}

/** Whether the listings have changed by it: the same text and ranks keep the same listing. */
function setWorker(view: SourceView, sourceId: string, workerId: string, text: string, ranks: readonly RankReply[]): boolean {
  const known = view.workers.get(workerId);
  if (known?.text === text && JSON.stringify(known.ranks) === JSON.stringify(ranks)) return false;
  const listing = toListing(sourceId, workerId, view.source, text, ranks);
  const whole = isWhole(text, ranks);
  view.workers.set(workerId, { text, ranks, whole, settled: whole && listing.updatedAt > 0n, listing, reading: view.readings });
  return true;
}

/** Listings of sources: made of one hash each, and kept up to date by reading again what has changed. */
import type { WorkerListing } from '../store.js';
import { attributesField } from '../reserved.js';
import type { AttributesCache } from './attributes-cache.js';
import { noAttributes } from './attributes-json.js';
import type { ChangedWorkers } from './changed-workers.js';
import type { RedisConnection } from './connection.js';
import { sourceKey, workerKey } from './keys.js';
import type { RankReply } from './ranks.js';
import { readChanges, readRanks } from './scripts.js';
import { SharedReads } from './shared-reads.js';
import { SourceView } from './source-view.js';
import type { TrackedKeys } from './tracked-keys.js';

/** Workers whose ranks are read in one step, which holds up all of Redis for about a millisecond. */
const batchWorkers = 100;

/** More changed workers than this are looked for in the whole hash of the source. Redis 7.0 tracks a script's keys in quadratic time. */
const mostChanged = 64;

/** Readings of what has changed while that is being read, before the whole hash is. */
const mostRounds = 4;

/**
 * No server writes to a worker's field in the source's hash alone, but a hand may. Where heartbeats hide that, it is seen after so many
 * milliseconds.
 */
const readAllEveryMs = 5000;

/** The number of workers, the source's attributes, and of each worker that was asked for its text and ranks. */
type Changes = [count: number, attributes: string | null, workers: [text: string | null, ranks: RankReply[]][]];

export interface ListingsOptions {
  /** For reading hashes; its invalidations go to `tracked` and `changed`. */
  readonly reads: RedisConnection;
  readonly tracked: TrackedKeys;
  readonly changed: ChangedWorkers;
  /** For everything else. */
  readonly commands: RedisConnection;
  readonly attributes: AttributesCache;
  /** Servers write to this Redis that send heartbeats to records. */
  readonly consultRecords: boolean;
}

/**
 * Every server, ModelExpress' too, writes to the worker's own hash when it writes to the worker's field in the source's hash, before it
 * or in the same step. So Redis names the workers whose fields may have changed, all but new ones, which show in the number of fields.
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
    const view = this.#views.get(sourceId);
    if (view !== undefined && this.#isCurrent(sourceId, view)) {
      await this.#options.reads.send(['PING']);
      if (this.#isCurrent(sourceId, view)) return view.list();
    }
    return this.#reads.read(sourceId, () => this.#read(sourceId));
  }

  /** Forgets the sources that are not among these. */
  keepOnly(sourceIds: ReadonlySet<string>): void {
    for (const sourceId of this.#views.keys()) if (!sourceIds.has(sourceId)) this.#forget(sourceId);
  }

  #isCurrent(sourceId: string, { token, watch, unsettled }: SourceView): boolean {
    const { tracked, changed } = this.#options;
    const sourceIsCurrent = token !== undefined && tracked.isCurrent(sourceKey(sourceId), token);
    return sourceIsCurrent && changed.isCurrent(sourceId, watch) && watch.size === 0 && unsettled.size === 0;
  }

  async #read(sourceId: string): Promise<readonly WorkerListing[]> {
    const { changed } = this.#options;
    const watch = changed.watch(sourceId);
    let view = this.#views.get(sourceId);
    // After a lost connection nobody knows of changes: all workers are read again, and so tracked again.
    if (view?.watch !== watch) view = new SourceView(sourceId, watch);
    this.#views.set(sourceId, view);
    const token = view.token;
    view.token = undefined;
    try {
      const isRecent = performance.now() - view.readAt < readAllEveryMs;
      if (isRecent && (await this.#readChanges(sourceId, view, token))) return view.list();
      if (!(await this.#readAll(sourceId, view))) this.#forget(sourceId);
      return view.list();
    } catch (error) {
      // Half of it may have been changed.
      this.#forget(sourceId);
      throw error;
    }
  }

  /**
   * Reads the workers that have changed, and those that changed meanwhile, until there are none.
   *
   * @param last the token of the view's last reading.
   * @returns false when something else has changed, or too much.
   */
  async #readChanges(sourceId: string, view: SourceView, last: symbol | undefined): Promise<boolean> {
    const { reads, tracked, attributes, consultRecords } = this.#options;
    const key = sourceKey(sourceId);
    let token = last;
    let sourceChanged = false;
    let explained = view.unsettled.size > 0;
    for (let round = 0; round < mostRounds; round++) {
      if (view.watch.size + view.unsettled.size > mostChanged) return false;
      const taken = view.watch.take();
      explained ||= taken.size > 0;
      const workerIds = [...new Set([...taken, ...view.unsettled])];
      sourceChanged ||= token === undefined || !tracked.isCurrent(key, token);
      token = tracked.token(key);
      const keys = [key, ...workerIds.map((workerId) => workerKey(sourceId, workerId))];
      const args = [attributesField, consultRecords ? '1' : '0', ...workerIds];
      const [count, attributesText, workers] = (await reads.run(readChanges, keys, args)) as Changes;
      view.setSource(attributes.decode(sourceId, attributesText ?? undefined) ?? noAttributes);
      for (const [index, workerId] of workerIds.entries()) {
        const [text, ranks] = workers[index] ?? [null, []];
        if (text === null) view.deleteWorker(workerId);
        else view.setWorker(workerId, text, ranks);
      }
      if (view.watch.size > 0 || !tracked.isCurrent(key, token)) continue;
      // A change of the source's hash that goes with no worker's is that of a new worker, or one by hand.
      if (count !== view.size || count === 0 || (sourceChanged && !explained)) return false;
      view.token = token;
      return true;
    }
    return false;
  }

  /** @returns false when there is no such source. */
  async #readAll(sourceId: string, view: SourceView): Promise<boolean> {
    const { reads, tracked, attributes } = this.#options;
    const token = tracked.token(sourceKey(sourceId));
    const taken = view.watch.take();
    const readAt = performance.now();
    const fields = (await reads.send(['HGETALL', sourceKey(sourceId)])) as string[];
    const present = new Set<string>();
    const unread: [workerId: string, text: string][] = [];
    let attributesText: string | undefined;
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const [workerId = '', text = ''] = [fields[at], fields[at + 1]];
      if (workerId === attributesField) {
        attributesText = text;
        continue;
      }
      present.add(workerId);
      if (taken.has(workerId) || !view.isSettled(workerId, text)) unread.push([workerId, text]);
    }
    view.setSource(attributes.decode(sourceId, attributesText) ?? noAttributes);
    const ranks = await this.#readRanks(
      sourceId,
      unread.map(([workerId]) => workerId),
    );
    for (const [index, [workerId, text]] of unread.entries()) view.setWorker(workerId, text, ranks[index] ?? []);
    for (const workerId of [...view.workerIds()]) if (!present.has(workerId)) view.deleteWorker(workerId);
    view.token = token;
    view.readAt = readAt;
    return fields.length > 0;
  }

  /** From when they are read on, changes of these workers are told. */
  async #readRanks(sourceId: string, workerIds: readonly string[]): Promise<(readonly RankReply[])[]> {
    const { reads, commands, consultRecords } = this.#options;
    const batches: Promise<unknown>[] = [];
    for (let from = 0; from < workerIds.length; from += batchWorkers) {
      const keys = workerIds.slice(from, from + batchWorkers).map((workerId) => workerKey(sourceId, workerId));
      const tracking = reads.send(['EXISTS', ...keys]);
      batches.push(tracking.then(() => commands.run(readRanks, keys, [consultRecords ? '1' : '0'])));
    }
    return ((await Promise.all(batches)) as RankReply[][][]).flat();
  }

  #forget(sourceId: string): void {
    const { tracked, changed } = this.#options;
    this.#views.delete(sourceId);
    tracked.forget(sourceKey(sourceId));
    changed.forget(sourceId);
  }
}

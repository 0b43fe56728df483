/** The state of the server as pages see it. However many look, the store is asked once a second, and not at all when nobody does. */
import type { MetadataStore, WorkerListing } from '../../../metadata/stores/store.js';
import type { Transfer } from '../../../metadata/transfers/transfer.js';
import type { TransferLog } from '../../../metadata/transfers/transfer-log.js';

export interface Snapshot {
  /** Unix milliseconds. */
  readonly at: number;
  /** When the store does not answer: what it said last. */
  readonly listings: readonly WorkerListing[];
  readonly storeAnswers: boolean;
  readonly transfers: readonly Transfer[];
}

export interface FeedOptions {
  readonly store: MetadataStore;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly transfers: TransferLog;
}

/** Told of each snapshot; the next one waits until it is done. Must not reject. */
export type Watcher = (snapshot: Snapshot) => Promise<void>;

const intervalMs = 1000;
/** Those who look must not keep the server from its work: after a round it rests at least this many times as long. */
const restShare = 4;
/** A store that says nothing for so long does not answer. */
const storeLimitMs = 2000;

export class Feed {
  readonly #options: FeedOptions;
  readonly #watchers = new Set<Watcher>();
  #listings: readonly WorkerListing[] = [];
  #asking: Promise<void> | undefined;
  #latest: { readonly takenAt: number; readonly snapshot: Promise<Snapshot> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #inRound = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** At most a second old. Never rejects. */
  current(): Promise<Snapshot> {
    const now = performance.now();
    if (this.#latest === undefined || now - this.#latest.takenAt >= intervalMs) {
      this.#latest = { takenAt: now, snapshot: this.#take() };
    }
    return this.#latest.snapshot;
  }

  /** From now on until the returned function is called, `watcher` gets a snapshot every second. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    this.#schedule(intervalMs);
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#rest();
    };
  }

  close(): void {
    this.#watchers.clear();
    this.#rest();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(afterMs: number): void {
    if (this.#timer !== undefined || this.#inRound || this.#watchers.size === 0) return;
    this.#timer = setTimeout(() => void this.#round(), afterMs);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    this.#timer = undefined;
    this.#inRound = true;
    const snapshot = await this.current();
    const start = performance.now();
    await Promise.all([...this.#watchers].map((watcher) => watcher(snapshot)));
    this.#inRound = false;
    this.#schedule(Math.max(intervalMs, (performance.now() - start) * restShare));
  }

  async #take(): Promise<Snapshot> {
    const storeAnswers = await this.#ask();
    return { at: this.#options.clock(), listings: this.#listings, storeAnswers, transfers: this.#options.transfers.list() };
  }

  /** A question that was not answered in time is not asked again until it is. */
  async #ask(): Promise<boolean> {
    this.#asking ??= this.#options.store
      .list()
      .then((listings) => {
        this.#listings = listings;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, storeLimitMs, false);
    });
    try {
      return await Promise.race([this.#asking.then(() => true), late]);
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

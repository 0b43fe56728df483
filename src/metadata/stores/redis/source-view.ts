/** A source as it was read last. Changed in place, by one reading at a time: there may be tens of thousands of workers. */
import { SourceListings } from '../source-listings.js';
import type { SourceAttributes, WorkerListing } from '../store.js';
import { noAttributes } from './attributes-json.js';
import type { Watch } from './changed-workers.js';
import { isWhole, type RankReply, toListing } from './ranks.js';

interface ListedWorker {
  /** The worker's field in the source's hash. */
  readonly text: string;
  readonly ranks: readonly RankReply[];
}

export class SourceView {
  /** Changes of its workers since the first of them was read. */
  readonly watch: Watch;
  /** Of the source's hash; undefined while it may have changed. */
  token: symbol | undefined;
  /** When all of the source's hash was read. Milliseconds of `performance.now`. */
  readAt = Number.NEGATIVE_INFINITY;
  readonly #sourceId: string;
  readonly #workers = new Map<string, ListedWorker>();
  readonly #listings = new SourceListings();
  readonly #unsettled = new Set<string>();
  #source: SourceAttributes = noAttributes;

  constructor(sourceId: string, watch: Watch) {
    this.#sourceId = sourceId;
    this.watch = watch;
  }

  get size(): number {
    return this.#workers.size;
  }

  /**
   * Workers of which the source's hash and their own do not say the same: several ranks, or a publication that is half written. What
   * comes next of them may come to the source's hash alone, so that they are read every time.
   */
  get unsettled(): ReadonlySet<string> {
    return this.#unsettled;
  }

  list(): readonly WorkerListing[] {
    return this.#listings.list();
  }

  workerIds(): Iterable<string> {
    return this.#workers.keys();
  }

  /** Whether the worker's field in the source's hash was this one, and said all there was to say. */
  isSettled(workerId: string, text: string): boolean {
    return this.#workers.get(workerId)?.text === text && !this.#unsettled.has(workerId);
  }

  setSource(source: SourceAttributes): void {
    if (this.#source === source) return;
    this.#source = source;
    for (const [workerId, { text, ranks }] of this.#workers) {
      this.#listings.set(toListing(this.#sourceId, workerId, source, text, ranks));
    }
  }

  /** The same text and ranks keep the same listing. */
  setWorker(workerId: string, text: string, ranks: readonly RankReply[]): void {
    const known = this.#workers.get(workerId);
    if (known?.text === text && JSON.stringify(known.ranks) === JSON.stringify(ranks)) return;
    this.#workers.set(workerId, { text, ranks });
    this.#listings.set(toListing(this.#sourceId, workerId, this.#source, text, ranks));
    if (isWhole(text, ranks)) this.#unsettled.delete(workerId);
    else this.#unsettled.add(workerId);
  }

  deleteWorker(workerId: string): void {
    this.#workers.delete(workerId);
    this.#unsettled.delete(workerId);
    this.#listings.delete(workerId);
  }
}

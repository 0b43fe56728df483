/** Sources and their workers as people look at them: grouped, counted, filtered, and no more than a page can hold. */
import type { WorkerListing } from '../../../metadata/stores/store.js';
import { freshness, type Freshness } from './freshness.js';
import { sourceFacts, type SourceFacts } from './source-facts.js';

export interface WorkerView {
  readonly listing: WorkerListing;
  /** Unix milliseconds; 0: never heard of. */
  readonly updatedAt: number;
  readonly freshness: Freshness;
}

export interface Counts {
  readonly workers: number;
  /** READY, and heard of in time. */
  readonly ready: number;
  /** READY or INITIALIZING by their own account, but not heard of for longer than the time-out. */
  readonly silent: number;
  readonly initializing: number;
  readonly stale: number;
}

export interface SourceView {
  readonly id: string;
  readonly facts: SourceFacts;
  /** Of all workers that match. */
  readonly counts: Counts;
  /** Those that are shown, by rank. */
  readonly workers: readonly WorkerView[];
}

export interface SourcesView {
  /** Unix milliseconds, the server's clock. */
  readonly at: number;
  /** Of the whole server, whatever the filter. */
  readonly totals: Counts & { readonly sources: number };
  /** Sources that match, shown or not. */
  readonly matching: number;
  readonly sources: readonly SourceView[];
}

export interface ViewOptions {
  readonly now: number;
  readonly heartbeatTimeoutMs: number;
  /** Words that must all be found in what is shown of a worker or its source; empty: everything. */
  readonly filter: string;
}

const mostSources = 100;
/** Together. Few sources show up to {@link mostWorkers} each, many share. */
const mostRows = 1000;
const mostWorkers = 200;

export function sourcesView(listings: readonly WorkerListing[], { now, heartbeatTimeoutMs, filter }: ViewOptions): SourcesView {
  const matches = matcher(filter);
  const totals = new Counter();
  const all = new Set<string>();
  const groups = new Map<string, { workers: WorkerView[]; counter: Counter }>();
  for (const listing of listings) {
    const updatedAt = Number(listing.updatedAt);
    const worker = { listing, updatedAt, freshness: freshness(listing.status, now - updatedAt, heartbeatTimeoutMs) };
    all.add(listing.sourceId);
    totals.add(worker.freshness);
    if (!matches(worker)) continue;
    let group = groups.get(listing.sourceId);
    if (group === undefined) groups.set(listing.sourceId, (group = { workers: [], counter: new Counter() }));
    group.workers.push(worker);
    group.counter.add(worker.freshness);
  }
  const shown = [...groups].map(([id, group]) => ({ id, ...group, facts: factsOf(group.workers) }));
  shown.sort((a, b) => compare(a.facts.modelName.toLowerCase(), b.facts.modelName.toLowerCase()) || compare(a.id, b.id));
  shown.length = Math.min(shown.length, mostSources);
  const limit = Math.min(mostWorkers, Math.max(1, Math.floor(mostRows / shown.length)));
  return {
    at: now,
    totals: { sources: all.size, ...totals.counts() },
    matching: groups.size,
    sources: shown.map(({ id, facts, counter, workers }) => ({ id, facts, counts: counter.counts(), workers: choose(workers, limit) })),
  };
}

/** Those that need a look first, when there are too many; then by rank. */
function choose(workers: WorkerView[], limit: number): WorkerView[] {
  let chosen = workers;
  if (workers.length > limit) {
    const isFine = ({ freshness: { health } }: WorkerView): boolean => health === 'fresh';
    const troubled = workers.filter((worker) => !isFine(worker)).sort(byRank);
    const fine = troubled.length < limit ? workers.filter(isFine).sort(byRank) : [];
    chosen = [...troubled, ...fine].slice(0, limit);
  }
  return chosen.sort(byRank);
}

function byRank(a: WorkerView, b: WorkerView): number {
  return a.listing.workerRank - b.listing.workerRank || compare(a.listing.workerId, b.listing.workerId);
}

/** Not by locale: fast, and the same everywhere. */
function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Stores may hold different attributes of one source for a moment, while it is published again: any of them will do. */
function factsOf([first]: readonly WorkerView[]): SourceFacts {
  if (first === undefined) throw new Error('a source without workers');
  return sourceFacts(first.listing.source);
}

class Counter {
  #workers = 0;
  #ready = 0;
  #silent = 0;
  #initializing = 0;
  #stale = 0;

  add({ status, health }: Freshness): void {
    this.#workers++;
    if (health === 'silent') this.#silent++;
    else if (health === 'stale') this.#stale++;
    else if (status === 'READY') this.#ready++;
    else if (status === 'INITIALIZING') this.#initializing++;
  }

  counts(): Counts {
    return { workers: this.#workers, ready: this.#ready, silent: this.#silent, initializing: this.#initializing, stale: this.#stale };
  }
}

function matcher(filter: string): (worker: WorkerView) => boolean {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return () => true;
  return ({ listing, freshness: { status, health } }) => {
    const { modelName, type, framework, dtype, quantization, revision } = sourceFacts(listing.source);
    const text = [
      ...[modelName, type, framework, dtype, quantization, revision, listing.sourceId, listing.workerId, listing.accelerator],
      ...[
        health === 'silent' ? health : status,
        `rank=${String(listing.workerRank)}`,
        ...Object.entries(listing.topology).map(([key, value]) => `${key}=${value}`),
      ],
    ];
    const haystack = text.join('\n').toLowerCase();
    return words.every((word) => haystack.includes(word));
  };
}

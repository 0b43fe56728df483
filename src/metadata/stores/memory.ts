/** The store of one process: nothing outlives it. */
import { SourceListings } from './source-listings.js';
import type { MetadataStore, SourceAttributes, StatusUpdate, StoredRecord, StoreName, WorkerListing, WorkerRecord } from './store.js';

interface StoredWorker {
  readonly ranks: Map<number, WorkerRecord>;
  representative: number;
}

interface StoredSource {
  attributes: SourceAttributes;
  readonly workers: Map<string, StoredWorker>;
  readonly listings: SourceListings;
  /** Workers whose listings are to be made anew when they are asked for. */
  readonly changed: Set<string>;
}

export class MemoryStore implements MetadataStore {
  readonly name: StoreName = 'memory';
  readonly #sources = new Map<string, StoredSource>();

  check(): Promise<void> {
    return Promise.resolve();
  }

  publish(sourceId: string, workerId: string, attributes: SourceAttributes, record: WorkerRecord): Promise<void> {
    const source = this.#sources.get(sourceId) ?? newSource(attributes);
    this.#sources.set(sourceId, source);
    // Workers of one source publish the same identity one after the other; their listings need not be made anew for it.
    if (!source.attributes.identity.equals(attributes.identity)) replaceAttributes(source, attributes);
    const { workerRank } = record;
    const worker = source.workers.get(workerId) ?? { ranks: new Map<number, WorkerRecord>(), representative: workerRank };
    source.workers.set(workerId, worker);
    worker.ranks.set(workerRank, record);
    worker.representative = workerRank;
    source.changed.add(workerId);
    return Promise.resolve();
  }

  list(sourceId?: string): Promise<readonly WorkerListing[]> {
    if (sourceId === undefined) return Promise.resolve([...this.#sources].flatMap(([id, source]) => listingsOf(id, source)));
    const source = this.#sources.get(sourceId);
    return Promise.resolve(source === undefined ? [] : listingsOf(sourceId, source));
  }

  get(sourceId: string, workerId: string): Promise<StoredRecord | undefined> {
    const source = this.#sources.get(sourceId);
    let lowest: WorkerRecord | undefined;
    for (const record of source?.workers.get(workerId)?.ranks.values() ?? []) {
      if (lowest === undefined || record.workerRank < lowest.workerRank) lowest = record;
    }
    return Promise.resolve(source === undefined || lowest === undefined ? undefined : { worker: lowest, source: source.attributes });
  }

  updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, ifUpdatedAt?: bigint): Promise<boolean> {
    const source = this.#sources.get(sourceId);
    const worker = source?.workers.get(workerId);
    const record = worker?.ranks.get(workerRank);
    if (source === undefined || worker === undefined || record === undefined || hasChanged(record, ifUpdatedAt)) {
      return Promise.resolve(false);
    }
    worker.ranks.set(workerRank, { ...record, status: update.status, updatedAt: update.updatedAt, sourceLoad: update.sourceLoad });
    source.changed.add(workerId);
    return Promise.resolve(true);
  }

  removeWorker(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Promise<boolean> {
    const source = this.#sources.get(sourceId);
    const worker = source?.workers.get(workerId);
    const record = worker?.ranks.get(worker.representative);
    if (source === undefined || record === undefined || hasChanged(record, ifUpdatedAt)) return Promise.resolve(false);
    source.workers.delete(workerId);
    source.changed.add(workerId);
    if (source.workers.size === 0) this.#sources.delete(sourceId);
    return Promise.resolve(true);
  }

  /** The ranks of a worker as they are at this moment, without waiting. */
  ranksOf(
    sourceId: string,
    workerId: string,
  ): { readonly ranks: ReadonlyMap<number, WorkerRecord>; readonly representative: number } | undefined {
    return this.#sources.get(sourceId)?.workers.get(workerId);
  }

  workerCount(sourceId: string): number {
    return this.#sources.get(sourceId)?.workers.size ?? 0;
  }

  attributesOf(sourceId: string): SourceAttributes | undefined {
    return this.#sources.get(sourceId)?.attributes;
  }

  close(): Promise<void> {
    this.#sources.clear();
    return Promise.resolve();
  }
}

function newSource(attributes: SourceAttributes): StoredSource {
  return { attributes, workers: new Map(), listings: new SourceListings(), changed: new Set() };
}

function replaceAttributes(source: StoredSource, attributes: SourceAttributes): void {
  source.attributes = attributes;
  for (const workerId of source.workers.keys()) source.changed.add(workerId);
}

function listingsOf(sourceId: string, source: StoredSource): readonly WorkerListing[] {
  for (const workerId of source.changed) {
    const worker = source.workers.get(workerId);
    const listing = worker === undefined ? undefined : toListing(sourceId, workerId, source.attributes, worker);
    if (listing === undefined) source.listings.delete(workerId);
    else source.listings.set(listing);
  }
  source.changed.clear();
  return source.listings.list();
}

/** Whether a condition `ifUpdatedAt` does not hold. */
export function hasChanged(record: WorkerRecord, since: bigint | undefined): boolean {
  return since !== undefined && record.updatedAt !== since;
}

function toListing(sourceId: string, workerId: string, source: SourceAttributes, worker: StoredWorker): WorkerListing | undefined {
  const record = worker.ranks.get(worker.representative);
  if (record === undefined) return undefined;
  const { workerRank, status, updatedAt, accelerator, topology, sourceLoad } = record;
  const statuses = [...worker.ranks.values()].map((rank) => rank.status);
  return { sourceId, workerId, source, workerRank, status, updatedAt, accelerator, topology, sourceLoad, statuses };
}

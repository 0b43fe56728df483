/** The store of one process: nothing outlives it. */
import type { MetadataStore, SourceAttributes, StatusUpdate, StoredRecord, StoreName, WorkerListing, WorkerRecord } from './store.js';

/** A worker as it is stored; `listing` is made when it is first asked for and dropped by every change. */
interface StoredWorker {
  readonly ranks: Map<number, WorkerRecord>;
  representative: number;
  listing: WorkerListing | undefined;
}

interface StoredSource {
  attributes: SourceAttributes;
  /** In the order of their last changes. */
  readonly workers: Map<string, StoredWorker>;
  /** Of all its workers; made when they are asked for and dropped by every change. */
  listings: readonly WorkerListing[] | undefined;
}

export class MemoryStore implements MetadataStore {
  readonly name: StoreName = 'memory';
  readonly #sources = new Map<string, StoredSource>();

  check(): Promise<void> {
    return Promise.resolve();
  }

  publish(sourceId: string, workerId: string, attributes: SourceAttributes, record: WorkerRecord): Promise<void> {
    const source = this.#sources.get(sourceId) ?? { attributes, workers: new Map<string, StoredWorker>(), listings: undefined };
    this.#sources.set(sourceId, source);
    // Workers of one source publish the same identity one after the other; their listings need not be made anew for it.
    if (!source.attributes.identity.equals(attributes.identity)) replaceAttributes(source, attributes);
    const { workerRank } = record;
    const worker = source.workers.get(workerId) ?? {
      ranks: new Map<number, WorkerRecord>(),
      representative: workerRank,
      listing: undefined,
    };
    worker.ranks.set(workerRank, record);
    worker.representative = workerRank;
    changed(source, workerId, worker);
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
    changed(source, workerId, worker);
    return Promise.resolve(true);
  }

  removeWorker(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Promise<boolean> {
    const source = this.#sources.get(sourceId);
    const worker = source?.workers.get(workerId);
    const record = worker?.ranks.get(worker.representative);
    if (source === undefined || record === undefined || hasChanged(record, ifUpdatedAt)) return Promise.resolve(false);
    source.workers.delete(workerId);
    source.listings = undefined;
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

function replaceAttributes(source: StoredSource, attributes: SourceAttributes): void {
  source.attributes = attributes;
  source.listings = undefined;
  for (const worker of source.workers.values()) worker.listing = undefined;
}

/** What changed last stands last, so that sorting by time has little to do. */
function changed(source: StoredSource, workerId: string, worker: StoredWorker): void {
  worker.listing = undefined;
  source.listings = undefined;
  source.workers.delete(workerId);
  source.workers.set(workerId, worker);
}

/** The newest first. */
function listingsOf(sourceId: string, source: StoredSource): readonly WorkerListing[] {
  if (source.listings !== undefined) return source.listings;
  const listings: WorkerListing[] = [];
  for (const [workerId, worker] of source.workers) {
    worker.listing ??= toListing(sourceId, workerId, source.attributes, worker);
    if (worker.listing !== undefined) listings.push(worker.listing);
  }
  source.listings = listings.reverse();
  return source.listings;
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

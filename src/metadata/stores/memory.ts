/** The store of one process: nothing outlives it. */
import type { MetadataStore, SourceAttributes, StatusUpdate, WorkerListing, WorkerRecord } from './store.js';

interface StoredWorker {
  readonly ranks: Map<number, WorkerRecord>;
  representative: number;
}

interface StoredSource {
  attributes: SourceAttributes;
  readonly workers: Map<string, StoredWorker>;
}

export class MemoryStore implements MetadataStore {
  readonly #sources = new Map<string, StoredSource>();

  publish(sourceId: string, workerId: string, attributes: SourceAttributes, record: WorkerRecord): Promise<void> {
    const source = this.#sources.get(sourceId) ?? { attributes, workers: new Map<string, StoredWorker>() };
    source.attributes = attributes;
    this.#sources.set(sourceId, source);
    const worker = source.workers.get(workerId) ?? { ranks: new Map<number, WorkerRecord>(), representative: record.workerRank };
    worker.ranks.set(record.workerRank, record);
    worker.representative = record.workerRank;
    source.workers.set(workerId, worker);
    return Promise.resolve();
  }

  list(sourceId?: string): Promise<WorkerListing[]> {
    const listings: WorkerListing[] = [];
    for (const [id, source] of this.#selected(sourceId)) {
      for (const [workerId, worker] of source.workers) {
        const listing = toListing(id, workerId, source.attributes, worker);
        if (listing !== undefined) listings.push(listing);
      }
    }
    return Promise.resolve(listings);
  }

  get(sourceId: string, workerId: string): Promise<{ worker: WorkerRecord; source: SourceAttributes } | undefined> {
    const source = this.#sources.get(sourceId);
    const records = [...(source?.workers.get(workerId)?.ranks.values() ?? [])];
    const [lowest] = records.sort((a, b) => a.workerRank - b.workerRank);
    return Promise.resolve(source === undefined || lowest === undefined ? undefined : { worker: lowest, source: source.attributes });
  }

  updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, unlessNewerThan?: bigint): Promise<boolean> {
    const ranks = this.#sources.get(sourceId)?.workers.get(workerId)?.ranks;
    const record = ranks?.get(workerRank);
    if (ranks === undefined || record === undefined || isNewer(record, unlessNewerThan)) return Promise.resolve(false);
    ranks.set(workerRank, { ...record, status: update.status, updatedAt: update.updatedAt, sourceLoad: update.sourceLoad });
    return Promise.resolve(true);
  }

  removeWorker(sourceId: string, workerId: string, unlessNewerThan?: bigint): Promise<boolean> {
    const source = this.#sources.get(sourceId);
    const worker = source?.workers.get(workerId);
    const record = worker?.ranks.get(worker.representative);
    if (source === undefined || record === undefined || isNewer(record, unlessNewerThan)) return Promise.resolve(false);
    source.workers.delete(workerId);
    if (source.workers.size === 0) this.#sources.delete(sourceId);
    return Promise.resolve(true);
  }

  close(): Promise<void> {
    this.#sources.clear();
    return Promise.resolve();
  }

  #selected(sourceId: string | undefined): Iterable<[string, StoredSource]> {
    if (sourceId === undefined) return this.#sources;
    const source = this.#sources.get(sourceId);
    return source === undefined ? [] : [[sourceId, source]];
  }
}

function isNewer(record: WorkerRecord, than: bigint | undefined): boolean {
  return than !== undefined && record.updatedAt > than;
}

function toListing(sourceId: string, workerId: string, source: SourceAttributes, worker: StoredWorker): WorkerListing | undefined {
  const record = worker.ranks.get(worker.representative);
  if (record === undefined) return undefined;
  const { workerRank, status, updatedAt, accelerator, topology, sourceLoad } = record;
  const statuses = [...worker.ranks.values()].map((rank) => rank.status);
  return { sourceId, workerId, source, workerRank, status, updatedAt, accelerator, topology, sourceLoad, statuses };
}

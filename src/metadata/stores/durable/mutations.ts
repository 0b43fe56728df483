/** What changes the store: as operations on the disk, and then the same in memory. */
import { hasChanged, type MemoryStore } from '../memory.js';
import type { SourceAttributes, StatusUpdate, WorkerRecord } from '../store.js';
import { decodeKey, encodeKey, type Key } from './keys.js';
import { encodeLive, encodeRank, encodeRecord, encodeSource } from './values.js';

export type Operation =
  { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer } | { readonly type: 'del'; readonly key: Buffer };

export interface Mutation {
  readonly sourceId: string;
  /** `undefined`: the source as a whole. */
  readonly workerId: string | undefined;
  /** Whether the device must have it, so that it survives the machine's end and not only the process's. */
  readonly sync: boolean;
  /** `undefined` when what is in memory has no place for it. */
  operations(memory: MemoryStore): Operation[] | undefined;
  /** Called when the operations are written, with nothing else having happened to the worker since they were made. */
  apply(memory: MemoryStore): void;
}

export function publication(sourceId: string, workerId: string, source: SourceAttributes, record: WorkerRecord): Mutation {
  const rank = record.workerRank;
  return {
    sourceId,
    workerId,
    sync: true,
    operations: () => [
      put({ kind: 'record', sourceId, workerId, rank }, encodeRecord(record)),
      put({ kind: 'live', sourceId, workerId, rank }, encodeLive(record)),
      put({ kind: 'representative', sourceId, workerId }, encodeRank(rank)),
      put({ kind: 'source', sourceId }, encodeSource(source)),
    ],
    apply: (memory) => void memory.publish(sourceId, workerId, source, record),
  };
}

/** Not synced: the next heartbeat makes up for one that is lost with the machine. */
export function statusUpdate(sourceId: string, workerId: string, rank: number, update: StatusUpdate, ifUpdatedAt?: bigint): Mutation {
  return {
    sourceId,
    workerId,
    sync: false,
    operations: (memory) => {
      const record = memory.ranksOf(sourceId, workerId)?.ranks.get(rank);
      if (record === undefined || hasChanged(record, ifUpdatedAt)) return undefined;
      return [put({ kind: 'live', sourceId, workerId, rank }, encodeLive(update))];
    },
    apply: (memory) => void memory.updateStatus(sourceId, workerId, rank, update),
  };
}

/** Not synced: what comes back with the machine is silent, and removed again. */
export function removal(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Mutation {
  return {
    sourceId,
    // Whether the source goes too depends on all of its workers.
    workerId: undefined,
    sync: false,
    operations: (memory) => {
      const worker = memory.ranksOf(sourceId, workerId);
      const record = worker?.ranks.get(worker.representative);
      if (worker === undefined || record === undefined || hasChanged(record, ifUpdatedAt)) return undefined;
      const keys: Key[] = [{ kind: 'representative', sourceId, workerId }];
      for (const rank of worker.ranks.keys()) {
        keys.push({ kind: 'record', sourceId, workerId, rank }, { kind: 'live', sourceId, workerId, rank });
      }
      if (memory.workerCount(sourceId) === 1) keys.push({ kind: 'source', sourceId });
      return keys.map((key) => ({ type: 'del', key: encodeKey(key) }));
    },
    apply: (memory) => void memory.removeWorker(sourceId, workerId),
  };
}

/** Operations on the same keys after which the disk has there what memory has. */
export function restoration(operations: readonly Operation[], memory: MemoryStore): Operation[] {
  return operations.map(({ key }) => {
    const value = valueOf(decodeKey(key), memory);
    return value === undefined ? { type: 'del', key } : { type: 'put', key, value };
  });
}

function valueOf(key: Key | undefined, memory: MemoryStore): Buffer | undefined {
  if (key === undefined) return undefined;
  if (key.kind === 'source') {
    const attributes = memory.attributesOf(key.sourceId);
    return attributes && encodeSource(attributes);
  }
  const worker = memory.ranksOf(key.sourceId, key.workerId);
  if (key.kind === 'representative') return worker && encodeRank(worker.representative);
  const record = worker?.ranks.get(key.rank);
  return record && (key.kind === 'live' ? encodeLive(record) : encodeRecord(record));
}

function put(key: Key, value: Buffer): Operation {
  return { type: 'put', key: encodeKey(key), value };
}

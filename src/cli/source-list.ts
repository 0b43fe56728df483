/**
 * The list of sources with their status. The protocol's list has no status in it, so each is asked for by itself; what
 * is listed without being READY by the server's own clock, and without another status, has missed its heartbeats.
 */
import { SourceStatus, type SourceIdentity, type SourceInstanceRef } from '../gen/model_express/p2p.js';
import type { MetadataClient } from '../metadata/client.js';

/** `SILENT`: READY once, but no heartbeat in time; targets do not see it. */
export type SourceState = 'READY' | 'INITIALIZING' | 'STALE' | 'UNKNOWN' | 'SILENT';

export interface Source {
  readonly modelName: string;
  readonly sourceId: string;
  readonly workerId: string;
  readonly rank: number;
  /** `''` when the source does not say. */
  readonly accelerator: string;
  readonly status: SourceState;
  /** Unix ms of the server; 0 before the first heartbeat. */
  readonly updatedAt: number;
}

export interface SourceFilter {
  readonly identity?: Partial<SourceIdentity>;
  readonly modelName?: string;
  readonly rank?: number;
}

/** In the order in which a worker with several ranks is called. */
const statuses: readonly (readonly [SourceState, SourceStatus])[] = [
  ['READY', SourceStatus.SOURCE_STATUS_READY],
  ['INITIALIZING', SourceStatus.SOURCE_STATUS_INITIALIZING],
  ['STALE', SourceStatus.SOURCE_STATUS_STALE],
  ['UNKNOWN', SourceStatus.SOURCE_STATUS_UNKNOWN],
];

/** Newest first. @throws what MetadataClient.listSources throws. */
export async function fetchSources(
  client: Pick<MetadataClient, 'listSources'>,
  filter: SourceFilter,
  signal: AbortSignal,
): Promise<Source[]> {
  const request = {
    ...(filter.identity !== undefined && { identity: filter.identity }),
    ...(filter.modelName !== undefined && { modelNameFilter: filter.modelName }),
    ...(filter.rank !== undefined && { workerRankFilter: filter.rank }),
  };
  const [all, ...byStatus] = await Promise.all([
    client.listSources(request, signal),
    ...statuses.map(([, statusFilter]) => client.listSources({ ...request, statusFilter }, signal)),
  ]);
  const keys = byStatus.map((instances) => new Set(instances.map(keyOf)));
  return all.map((instance) => ({
    modelName: instance.modelName,
    sourceId: instance.mxSourceId,
    workerId: instance.workerId,
    rank: instance.workerRank,
    accelerator: instance.accelerator,
    status: statuses.find((_, index) => keys[index]?.has(keyOf(instance)))?.[0] ?? 'SILENT',
    updatedAt: Number(instance.updatedAt),
  }));
}

function keyOf(instance: SourceInstanceRef): string {
  return `${instance.mxSourceId} ${String(instance.workerRank)} ${instance.workerId}`;
}

export interface SourceChange {
  readonly event: 'added' | 'changed' | 'removed';
  readonly source: Source;
}

/** What happened between two lists. A heartbeat alone is no change. */
export function changesBetween(before: readonly Source[], after: readonly Source[]): SourceChange[] {
  const name = (source: Source): string => `${source.sourceId} ${String(source.rank)} ${source.workerId}`;
  const old = new Map(before.map((source) => [name(source), source]));
  const changes: SourceChange[] = [];
  for (const source of after) {
    const known = old.get(name(source));
    old.delete(name(source));
    if (known === undefined) changes.push({ event: 'added', source });
    else if (known.status !== source.status || known.accelerator !== source.accelerator) changes.push({ event: 'changed', source });
  }
  return [...changes, ...[...old.values()].map((source) => ({ event: 'removed' as const, source }))];
}

/**
 * Names in Redis, which ModelExpress servers share:
 *
 *     mx:source:{source}            hash: `__attributes__`, and one summary a worker
 *     mx:source:{source}:{worker}   hash: one record a rank, and `status:{rank}` with its live status
 *
 * Everything else in the database belongs to others (`mx:model:*`, `mx:refit:*`).
 */

/** Matches the hashes of sources and not those of workers: source ids have 16 characters. */
export const sourcePattern = 'mx:source:????????????????';

const sourcePrefix = 'mx:source:';

const sourceIdLength = 16;

/**
 * What no server has stored is not looked for either: an id with a colon would name another worker's hash as a source.
 */
export function isSourceId(id: string): boolean {
  return id.length === sourceIdLength && !id.includes(':');
}

export function sourceKey(sourceId: string): string {
  return sourcePrefix + sourceId;
}

/** The inverse of {@link sourceKey}. */
export function sourceIdOf(key: string): string {
  return key.slice(sourcePrefix.length);
}

export function workerKey(sourceId: string, workerId: string): string {
  return `${sourcePrefix}${sourceId}:${workerId}`;
}

export function statusField(rank: number): string {
  return `status:${String(rank)}`;
}

/** The inverse of {@link workerKey}; undefined for keys of sources and of others. */
export function idsOfWorkerKey(key: string): { readonly sourceId: string; readonly workerId: string } | undefined {
  const end = sourcePrefix.length + sourceIdLength;
  if (!key.startsWith(sourcePrefix) || key[end] !== ':') return undefined;
  return { sourceId: key.slice(sourcePrefix.length, end), workerId: key.slice(end + 1) };
}

/** ListSources: filters, order, cap, freshness. */
import { ListSourcesRequest, SourceStatus } from '../../../gen/model_express/p2p.js';
import { decodeIdentity, mxSourceId } from '../../../identity/index.js';
import type { MetadataStore, WorkerListing } from '../../stores/store.js';
import { subMessage } from '../../wire/fields.js';
import { renderInstance } from '../../wire/reference.js';
import { type Answer, done, reading } from './answer.js';
import { isStatus } from './status.js';

/**
 * Answers with references to stored workers, newest first, as an encoded `ListSourcesResponse`. The cap comes before the
 * freshness rule, so that a capped query for READY workers may answer with fewer than there are: peers rely on the same
 * order of steps.
 *
 * @param request a `ListSourcesRequest` message, encoded.
 * @param now unix milliseconds.
 * @param heartbeatTimeoutMs a READY worker not heard of for longer is left out; just as long is fresh.
 * @throws what the store throws; MalformedRequest on bytes that are no such message.
 */
export async function listSources(store: MetadataStore, request: Buffer, now: number, heartbeatTimeoutMs: number): Promise<Answer<Buffer>> {
  const { query, sourceId } = reading(() => ({ query: ListSourcesRequest.decode(request), sourceId: wantedSource(request) }));
  // Numbers that are no status do not filter; they are not an error either.
  const status = isStatus(query.statusFilter) ? query.statusFilter : undefined;
  const found = (await store.list(sourceId)).filter((worker) => matches(worker, query, status)).sort(newestFirst);
  if (query.limit !== undefined && query.limit > 0) found.splice(query.limit);
  if (status !== SourceStatus.SOURCE_STATUS_READY) return done(Buffer.concat(found.map(renderInstance)));
  const oldest = BigInt(Math.trunc(now)) - BigInt(heartbeatTimeoutMs);
  return done(Buffer.concat(found.filter(({ updatedAt }) => updatedAt > 0n && updatedAt >= oldest).map(renderInstance)));
}

/** An identity filters by its id, and only when it names a model. */
function wantedSource(request: Buffer): string | undefined {
  const encoded = subMessage(request, 1);
  if (encoded === undefined) return undefined;
  const identity = decodeIdentity(encoded);
  return identity.modelName === '' ? undefined : mxSourceId(identity);
}

function matches(worker: WorkerListing, query: ListSourcesRequest, status: SourceStatus | undefined): boolean {
  const { modelNameFilter, workerRankFilter, minTrainingStep, minUpdatedAt } = query;
  return (
    (status === undefined || worker.statuses.includes(status)) &&
    (modelNameFilter === undefined || worker.source.modelName === modelNameFilter) &&
    (workerRankFilter === undefined || worker.workerRank === workerRankFilter) &&
    (minTrainingStep === undefined || (worker.source.trainingStep ?? -1n) >= minTrainingStep) &&
    (minUpdatedAt === undefined || worker.updatedAt >= minUpdatedAt)
  );
}

function newestFirst(a: WorkerListing, b: WorkerListing): number {
  return a.updatedAt === b.updatedAt ? 0 : a.updatedAt < b.updatedAt ? 1 : -1;
}

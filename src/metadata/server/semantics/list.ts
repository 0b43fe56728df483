/** ListSources: filters, order, cap, freshness. */
import { ListSourcesRequest, type ListSourcesResponse, type SourceInstanceRef, SourceStatus } from '../../../gen/model_express/p2p.js';
import { decodeIdentity, mxSourceId } from '../../../identity/index.js';
import type { MetadataStore, WorkerListing } from '../../stores/store.js';
import { subMessage } from '../../wire/fields.js';
import { ageMs } from './clock.js';
import { isStatus } from './status.js';

/**
 * Answers with references to stored workers, newest first. The cap comes before the freshness rule, so that a capped
 * query for READY workers may answer with fewer than there are: peers rely on the same order of steps.
 *
 * @param request a `ListSourcesRequest` message, encoded.
 * @param now unix milliseconds.
 * @param heartbeatTimeoutMs a READY worker not heard of for longer is left out; just as long is fresh.
 */
export async function listSources(
  store: MetadataStore,
  request: Buffer,
  now: number,
  heartbeatTimeoutMs: number,
): Promise<ListSourcesResponse> {
  const query = ListSourcesRequest.decode(request);
  // Numbers that are no status do not filter; they are not an error either.
  const status = isStatus(query.statusFilter) ? query.statusFilter : undefined;
  let found = (await store.list(wantedSource(request)))
    .filter((worker) => matches(worker, query, status))
    .sort((a, b) => (a.updatedAt === b.updatedAt ? 0 : a.updatedAt < b.updatedAt ? 1 : -1));
  if (query.limit !== undefined && query.limit > 0) found = found.slice(0, query.limit);
  if (status === SourceStatus.SOURCE_STATUS_READY) {
    found = found.filter(({ updatedAt }) => updatedAt > 0n && ageMs(updatedAt, now) <= BigInt(heartbeatTimeoutMs));
  }
  return { instances: found.map(toReference) };
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

function toReference(worker: WorkerListing): SourceInstanceRef {
  return {
    mxSourceId: worker.sourceId,
    workerId: worker.workerId,
    modelName: worker.source.modelName,
    workerRank: worker.workerRank,
    accelerator: worker.accelerator,
    updatedAt: worker.updatedAt,
    trainingStep: worker.source.trainingStep,
    layoutSignature: worker.source.layoutSignature,
    topology: { ...worker.topology },
    sourceLoad: worker.sourceLoad,
  };
}

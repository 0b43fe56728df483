/** ListSources: filters, order, cap, freshness. */
import { ListSourcesRequest, SourceStatus } from '../../../gen/model_express/p2p.js';
import { decodeIdentity, mxSourceId } from '../../../identity/index.js';
import { MessageParts } from '../../../rpc/message-parts.js';
import { originOf } from '../../stores/source-listings.js';
import type { MetadataStore, WorkerListing } from '../../stores/store.js';
import { subMessage } from '../../wire/fields.js';
import { type Answer, done, reading } from './answer.js';
import { OrderedListings } from './ordered-listings.js';
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
export async function listSources(
  store: MetadataStore,
  request: Buffer,
  now: number,
  heartbeatTimeoutMs: number,
): Promise<Answer<MessageParts>> {
  const { query, sourceId } = reading(() => ({ query: ListSourcesRequest.decode(request), sourceId: wantedSource(request) }));
  // Numbers that are no status do not filter; they are not an error either.
  const status = isStatus(query.statusFilter) ? query.statusFilter : undefined;
  const workers = withStatus(await store.list(sourceId), status);
  const oldest = status === SourceStatus.SOURCE_STATUS_READY ? freshSince(now, heartbeatTimeoutMs) : anyTime;
  const found = filtersByStatusOnly(query) ? workers : OrderedListings.of(selected(workers, query));
  return done(new MessageParts(found.encoded(oldest)));
}

/** Times are signed, and READY workers of time 0 were never heard of. */
const anyTime = -(2n ** 63n);

function freshSince(now: number, heartbeatTimeoutMs: number): bigint {
  const oldest = BigInt(Math.trunc(now)) - BigInt(heartbeatTimeoutMs);
  return oldest > 0n ? oldest : 1n;
}

/** Those of one source with a status, and the array that they were found in. */
interface Known {
  readonly listed: readonly WorkerListing[];
  readonly workers: OrderedListings;
}

/** By what handed the listings out, for as long as that is kept. */
const known = new WeakMap<object, Map<SourceStatus | undefined, Known>>();

function withStatus(listed: readonly WorkerListing[], status: SourceStatus | undefined): OrderedListings {
  const has = (worker: WorkerListing): boolean => status === undefined || worker.statuses.includes(status);
  const origin = originOf(listed);
  if (origin === undefined) return OrderedListings.of(listed.filter(has));
  const ofOrigin = known.get(origin) ?? new Map<SourceStatus | undefined, Known>();
  known.set(origin, ofOrigin);
  const last = ofOrigin.get(status);
  if (last?.listed === listed) return last.workers;
  const workers = last === undefined ? OrderedListings.of(listed.filter(has)) : followed(last, listed, has);
  ofOrigin.set(status, { listed, workers });
  return workers;
}

/** What has not changed is in the same place of both arrays. */
function followed(
  { listed: before, workers }: Known,
  listed: readonly WorkerListing[],
  has: (worker: WorkerListing) => boolean,
): OrderedListings {
  const removed = new Set<WorkerListing>();
  const added: WorkerListing[] = [];
  for (let place = 0; place < Math.max(before.length, listed.length); place++) {
    const [was, is] = [before[place], listed[place]];
    if (was === is) continue;
    if (was !== undefined && has(was)) removed.add(was);
    if (is !== undefined && has(is)) added.push(is);
  }
  return workers.with(removed, added);
}

function filtersByStatusOnly({ modelNameFilter, workerRankFilter, minTrainingStep, minUpdatedAt, limit }: ListSourcesRequest): boolean {
  return [modelNameFilter, workerRankFilter, minTrainingStep, minUpdatedAt, limit].every((filter) => filter === undefined);
}

/** Newest first, and no more than the query's limit. */
function selected(workers: OrderedListings, query: ListSourcesRequest): readonly WorkerListing[] {
  const found = workers.workers().filter((worker) => matches(worker, query));
  if (query.limit !== undefined && query.limit > 0) found.splice(query.limit);
  return found;
}

/** An identity filters by its id, and only when it names a model. */
function wantedSource(request: Buffer): string | undefined {
  const encoded = subMessage(request, 1);
  if (encoded === undefined) return undefined;
  const identity = decodeIdentity(encoded);
  return identity.modelName === '' ? undefined : mxSourceId(identity);
}

function matches(worker: WorkerListing, query: ListSourcesRequest): boolean {
  const { modelNameFilter, workerRankFilter, minTrainingStep, minUpdatedAt } = query;
  return (
    (modelNameFilter === undefined || worker.source.modelName === modelNameFilter) &&
    (workerRankFilter === undefined || worker.workerRank === workerRankFilter) &&
    (minTrainingStep === undefined || (worker.source.trainingStep ?? -1n) >= minTrainingStep) &&
    (minUpdatedAt === undefined || worker.updatedAt >= minUpdatedAt)
  );
}

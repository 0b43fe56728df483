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
  const workers = await store.list(sourceId);
  const oldest = status === SourceStatus.SOURCE_STATUS_READY ? BigInt(Math.trunc(now)) - BigInt(heartbeatTimeoutMs) : undefined;
  if (!filtersByStatusOnly(query)) return done(encode(selected(workers, query, status), oldest));
  const kept = keptReply(workers, status);
  const allFresh = oldest === undefined || (kept.oldest > 0n && kept.oldest >= oldest);
  return done(allFresh ? kept.bytes : encode(kept.workers, oldest));
}

/** A reply to a query that filters by nothing but a status, before the freshness rule. */
interface KeptReply {
  /** Newest first. */
  readonly workers: readonly WorkerListing[];
  /** When the one that was silent for longest was heard of. */
  readonly oldest: bigint;
  readonly bytes: Buffer;
}

/** Stores hand out the same array for as long as nothing in it has changed. */
const keptReplies = new WeakMap<readonly WorkerListing[], Map<SourceStatus | undefined, KeptReply>>();

function keptReply(listed: readonly WorkerListing[], status: SourceStatus | undefined): KeptReply {
  const ofListed = keptReplies.get(listed) ?? new Map<SourceStatus | undefined, KeptReply>();
  keptReplies.set(listed, ofListed);
  let reply = ofListed.get(status);
  if (reply === undefined) {
    const workers = selected(listed, undefined, status);
    reply = { workers, oldest: workers.at(-1)?.updatedAt ?? 0n, bytes: encode(workers, undefined) };
    ofListed.set(status, reply);
  }
  return reply;
}

function filtersByStatusOnly({ modelNameFilter, workerRankFilter, minTrainingStep, minUpdatedAt, limit }: ListSourcesRequest): boolean {
  return [modelNameFilter, workerRankFilter, minTrainingStep, minUpdatedAt, limit].every((filter) => filter === undefined);
}

/** Newest first, and no more than the query's limit. */
function selected(
  listed: readonly WorkerListing[],
  query: ListSourcesRequest | undefined,
  status: SourceStatus | undefined,
): readonly WorkerListing[] {
  const found = listed.filter(
    (worker) => (status === undefined || worker.statuses.includes(status)) && (query === undefined || matches(worker, query)),
  );
  found.sort(newestFirst);
  if (query?.limit !== undefined && query.limit > 0) found.splice(query.limit);
  return found;
}

/** @param oldest leaves out who was not heard of since then. */
function encode(workers: readonly WorkerListing[], oldest: bigint | undefined): Buffer {
  const fresh = oldest === undefined ? workers : workers.filter(({ updatedAt }) => updatedAt > 0n && updatedAt >= oldest);
  return Buffer.concat(fresh.map(renderInstance));
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

function newestFirst(a: WorkerListing, b: WorkerListing): number {
  return a.updatedAt === b.updatedAt ? 0 : a.updatedAt < b.updatedAt ? 1 : -1;
}

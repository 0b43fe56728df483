/** The live status of a worker's ranks: the newer one of what its last heartbeat and its record say. */
import { SourceStatus } from '../../../gen/model_express/p2p.js';
import type { SourceAttributes, WorkerListing } from '../store.js';
import { int32Max, int32Min } from './numbers.js';
import { decodeSummary, legacyRank, type WorkerSummary } from './summary-json.js';

/** A rank as `readRanks` answers: its number, summary, and the record's status, time and accelerator where the record was consulted. */
export type RankReply = readonly [rank: string, summary: string | null, status?: string, updatedAt?: string, accelerator?: string];

interface RankState {
  readonly status: SourceStatus;
  readonly updatedAt: bigint;
  readonly summary: WorkerSummary | undefined;
  readonly accelerator: string;
}

/** A worker as listings see it. What is lost of its ranks stands in the source's summary. */
export function toListing(
  sourceId: string,
  workerId: string,
  source: SourceAttributes,
  summaryText: string,
  ranks: readonly RankReply[],
): WorkerListing {
  const listed = decodeSummary(summaryText);
  const workerRank = listed?.workerRank ?? legacyRank(summaryText);
  const states = new Map(ranks.map((rank) => [Number(rank[0]), stateOf(rank)]));
  const state = states.get(workerRank);
  const summary = state?.summary ?? listed;
  return {
    sourceId,
    workerId,
    source,
    workerRank,
    status: state?.status ?? listed?.status ?? SourceStatus.SOURCE_STATUS_UNKNOWN,
    updatedAt: state?.updatedAt ?? listed?.updatedAt ?? 0n,
    accelerator: summary?.accelerator ?? state?.accelerator ?? '',
    topology: summary?.topology ?? {},
    sourceLoad: summary?.sourceLoad,
    statuses: [...states.values()].map(({ status }) => status),
  };
}

/** Whether the source's summary says all there is to say of the worker. */
export function isWhole(summaryText: string, ranks: readonly RankReply[]): boolean {
  const [rank, ...others] = ranks;
  return rank !== undefined && others.length === 0 && rank.length === 2 && rank[1] === summaryText;
}

function stateOf([, text, status, updatedAt, accelerator = '']: RankReply): RankState {
  const summary = text === null ? undefined : decodeSummary(text);
  const recorded = status === undefined ? undefined : { status: statusOf(status), updatedAt: timeOf(updatedAt ?? '0') };
  const live = summary !== undefined && (recorded === undefined || summary.updatedAt >= recorded.updatedAt) ? summary : recorded;
  return {
    status: live?.status ?? SourceStatus.SOURCE_STATUS_UNKNOWN,
    updatedAt: live?.updatedAt ?? 0n,
    summary,
    accelerator,
  };
}

function statusOf(text: string): SourceStatus {
  const number = Number(text);
  const status: unknown = number >= int32Min && number <= int32Max ? number : 0;
  return status as SourceStatus;
}

function timeOf(text: string): bigint {
  const time = text.length <= 20 ? BigInt(text) : 0n;
  return BigInt.asIntN(64, time) === time ? time : 0n;
}

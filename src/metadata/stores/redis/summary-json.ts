/** Summaries: the status of one rank of a worker, small enough to be rewritten by each heartbeat. */
import type { SourceStatus } from '../../../gen/model_express/p2p.js';
import { JsonReader } from './json-reader.js';
import { floatJson, uint32Max } from './numbers.js';
import { readStringMap, stringMapJson } from './string-map-json.js';

export interface WorkerSummary {
  readonly workerRank: number;
  readonly status: SourceStatus;
  readonly updatedAt: bigint;
  readonly accelerator: string;
  readonly sourceLoad?: number | undefined;
  readonly topology: Readonly<Record<string, string>>;
}

/** Members in the order of ModelExpress' servers. */
export function encodeSummary(summary: WorkerSummary): string {
  const { workerRank, status, updatedAt, accelerator, sourceLoad, topology } = summary;
  return (
    `{"worker_rank":${String(workerRank)},"status":${String(status)},"updated_at":${String(updatedAt)},` +
    `"accelerator":${JSON.stringify(accelerator)},"source_load":${floatJson(sourceLoad)},"topology":${stringMapJson(topology)}}`
  );
}

/** `undefined` for what is no summary. The first three members are required. */
export function decodeSummary(text: string): WorkerSummary | undefined {
  try {
    return readSummary(new JsonReader(text));
  } catch {
    return undefined;
  }
}

/** The rank that a source's field for a worker names: older servers wrote the decimal rank alone; anything else is rank 0. */
export function legacyRank(text: string): number {
  return /^\d{1,10}$/.test(text) && Number(text) <= uint32Max ? Number(text) : 0;
}

function readSummary(json: JsonReader): WorkerSummary | undefined {
  let workerRank: number | undefined;
  let status: SourceStatus | undefined;
  let updatedAt: bigint | undefined;
  let accelerator = '';
  let sourceLoad: number | undefined;
  let topology: Record<string, string> = {};
  json.openObject();
  for (let key = json.key(); key !== undefined; key = json.key()) {
    if (key === 'worker_rank') workerRank = json.integer(0, uint32Max);
    else if (key === 'status') status = json.enumeration() as SourceStatus;
    else if (key === 'updated_at') updatedAt = json.int64();
    else if (key === 'accelerator') accelerator = json.string();
    else if (key === 'source_load') sourceLoad = json.isNull() ? undefined : Math.fround(json.number());
    else if (key === 'topology') topology = readStringMap(json);
    else json.skip();
  }
  json.end();
  if (workerRank === undefined || status === undefined || updatedAt === undefined) return undefined;
  return { workerRank, status, updatedAt, accelerator, sourceLoad, topology };
}

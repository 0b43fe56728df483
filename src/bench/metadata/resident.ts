/** How much memory of a server's process its workers take. */
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerSet } from '../load/job.js';
import type { UsageSource } from '../server/usage.js';
import { spreadOf } from '../statistics.js';
import type { Bench } from './bench.js';
import type { ResidentRow } from './report.js';

type Growth = ResidentRow['repetitions'][number];

/** Resident memory counts as settled when two looks, this far apart, differ by less than `settledBytes`. */
const lookEveryMs = 500;
const settledBytes = 2 ** 20;
const looks = 20;

/**
 * One repetition. A tenth as many workers come first and do not count: code that is compiled and buffers that are made
 * with the first calls do not belong to workers. No garbage collection is forced; heartbeats let it happen as it would.
 */
export async function measureResident(bench: Bench, usage: UsageSource, workers: WorkerSet): Promise<Growth> {
  const first = { ...workers, prefix: `${workers.prefix}-first`, count: Math.ceil(workers.count / 10) };
  await arrive(bench, first);
  const beforeBytes = await settled(usage, bench.signal);
  await arrive(bench, workers);
  const afterBytes = await settled(usage, bench.signal);
  return { beforeBytes, afterBytes };
}

export function residentRow({ count, tensors }: WorkerSet, requestBytes: number, repetitions: readonly Growth[]): ResidentRow {
  const growth = repetitions.map(({ beforeBytes, afterBytes }) => ((afterBytes - beforeBytes) / count) * 1000);
  return { workers: count, tensorsPerWorker: tensors, requestBytes, repetitions, bytesPer1000Workers: spreadOf(growth) };
}

async function arrive(bench: Bench, workers: WorkerSet): Promise<void> {
  await bench.publish(workers);
  await bench.heartbeat(workers);
}

async function settled(usage: UsageSource, signal: AbortSignal): Promise<number> {
  let { residentBytes } = await usage.read();
  for (let look = 0; look < looks; look++) {
    await delay(lookEveryMs, undefined, { signal });
    const now = (await usage.read()).residentBytes;
    const moved = Math.abs(now - residentBytes);
    residentBytes = now;
    if (moved < settledBytes) break;
  }
  return residentBytes;
}

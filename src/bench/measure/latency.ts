/** Percentiles of times. */
import { quantile } from '../statistics.js';

/** Microseconds; nearest rank, so that each of them was measured. */
export interface Latency {
  readonly samples: number;
  readonly minUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** @param times ms, at least one. */
export function latencyOf(times: readonly number[]): Latency {
  const sorted = Float64Array.from(times, (ms) => ms * 1000).sort();
  const at = (q: number): number => quantile(sorted, q);
  return { samples: sorted.length, minUs: at(0), p50Us: at(0.5), p90Us: at(0.9), p99Us: at(0.99), maxUs: at(1) };
}

/** What several pulls at the same time come to. */
import type { TimedPull } from '../measure/timed-pull.js';

/** All bytes over the time from the first one's start to the last one's end, 10^9 bytes a second. @param pulls at least one. */
export function totalGBps(pulls: readonly Pick<TimedPull, 'wireStartedAt' | 'wireMs' | 'result'>[]): number {
  const start = Math.min(...pulls.map((pulled) => pulled.wireStartedAt));
  const end = Math.max(...pulls.map((pulled) => pulled.wireStartedAt + pulled.wireMs));
  const bytes = pulls.reduce((sum, { result }) => sum + Number(result.bytes), 0);
  return bytes / (end - start) / 1e6;
}

/** Jain's index: 1 when all rates are alike, 1/N when one has everything. @param rates at least one, above 0. */
export function fairness(rates: readonly number[]): number {
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const squares = rates.reduce((total, rate) => total + rate * rate, 0);
  return (sum * sum) / (rates.length * squares);
}

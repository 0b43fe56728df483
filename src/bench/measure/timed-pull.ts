/** One pull with the times that a benchmark wants of it. */
import { pull, type PullOptions, type PullPhase, type PullResult } from '../../target/index.js';
import type { CpuMeter } from './cpu.js';

export interface TimedPull {
  readonly result: PullResult;
  /** From the first request to the last byte, as the native threads measure it, ms. */
  readonly wireMs: number;
  /** When the wire phase began, on the clock of `performance.now()`. */
  readonly wireStartedAt: number;
}

/** @param meter runs during the wire phase. @throws what the pull throws. */
export async function timedPull(options: PullOptions, meter?: CpuMeter): Promise<TimedPull> {
  let phase: PullPhase | undefined;
  let wireStartedAt = Number.NaN;
  let stopped: Promise<void> | undefined;
  const running = pull(options);
  for await (const progress of running) {
    if (progress.phase === phase) continue;
    if (progress.phase === 'wire') {
      wireStartedAt = performance.now();
      meter?.start();
    } else if (phase === 'wire') {
      stopped = meter?.stop();
    }
    ({ phase } = progress);
  }
  await stopped;
  const result = await running;
  return { result, wireMs: wireMsOf(result), wireStartedAt };
}

/** The inverse of how a pull states its rate. */
function wireMsOf({ bytes, wireGBps }: PullResult): number {
  return wireGBps > 0 ? Number(bytes) / wireGBps / 1e6 : 0;
}

/** Reads of one size: passes for the rate, lone reads for the latency, and a look at every byte. */
import { CpuMeter } from '../measure/cpu.js';
import { latencyOf, type Latency } from '../measure/latency.js';
import type { TimedPull } from '../measure/timed-pull.js';
import type { UsageSource } from '../server/usage.js';
import type { Reader, Window } from './reader.js';
import type { ReadBenchOptions } from './options.js';
import { type SizePlan, Windows } from './plan.js';

/** Reads of one size, as they were measured. */
export interface SizeMeasured {
  readonly plan: SizePlan;
  readonly passes: readonly TimedPull[];
  readonly lone: Latency | null;
  readonly meter: CpuMeter;
  /** Bytes that were compared with what the seed has, after the clock had stopped. */
  readonly verifiedBytes: number;
}

export async function measureSize(
  reader: Reader,
  plan: SizePlan,
  { run, depth, loneReads }: ReadBenchOptions,
  seed: UsageSource | undefined,
): Promise<SizeMeasured> {
  const { size, readsPerPass } = plan;
  const windows = new Windows(reader.bytes);
  /** Windows join, from the front of the buffer on: all up to here was read. */
  let end = 0;
  const next = (reads: number): Window => {
    const bytes = reads * size;
    const window = { start: windows.take(bytes), bytes };
    end = Math.max(end, window.start + bytes);
    return window;
  };

  reader.wipe();
  const loneTimes: number[] = [];
  for (let read = 0; read < loneReads; read++) {
    const { wireMs } = await reader.read(next(1), size, { outstanding: 1, queuePairs: 1 });
    loneTimes.push(wireMs);
  }
  const meter = new CpuMeter(seed);
  const passes: TimedPull[] = [];
  let wireMs = 0;
  const isOver = (): boolean => ('durationMs' in run ? wireMs >= run.durationMs : passes.length >= (plan.passes ?? 1));
  do {
    const pass = await reader.read(next(readsPerPass), size, depth, meter);
    passes.push(pass);
    wireMs += pass.wireMs;
  } while (!isOver());
  const verifiedBytes = await reader.check({ start: 0, bytes: end });
  return { plan, passes, lone: loneTimes.length === 0 ? null : latencyOf(loneTimes), meter, verifiedBytes };
}

/** What kept reads from being faster: said only where a measured figure says so. */
import type { CpuUse } from './cpu.js';
import type { Latency } from './latency.js';

export type Bound = 'link' | 'cpu' | 'bytes in flight' | 'unknown';

export interface BoundFigures {
  readonly averageGBps: number;
  readonly ceilingGBps: number | null;
  /** Bytes asked for and not there yet, at most. */
  readonly inFlightBytes: number;
  readonly cpu: CpuUse | null;
  readonly lone: Latency | null;
}

/**
 * So near to a limit counts as being at it. Reads that take no longer beside others than alone do not wait for each other: the
 * path would carry more.
 */
const near = { link: 0.95, cpu: 0.85, lone: 1.25 };

export function boundOf(figures: BoundFigures): Bound {
  const { averageGBps, ceilingGBps, cpu, lone } = figures;
  if (ceilingGBps !== null && averageGBps >= near.link * ceilingGBps) return 'link';
  if (cpu !== null && cpu.machineBusy >= near.cpu) return 'cpu';
  const loaded = timeUnderLoadUs(figures);
  return lone !== null && loaded <= near.lone * lone.p50Us ? 'bytes in flight' : 'unknown';
}

/** How long a read takes while others are under way, µs: what is in flight over the rate, by Little's law. */
export function timeUnderLoadUs({ inFlightBytes, averageGBps }: Pick<BoundFigures, 'inFlightBytes' | 'averageGBps'>): number {
  return inFlightBytes / averageGBps / 1000;
}

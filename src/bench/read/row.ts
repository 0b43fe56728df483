/** From measured passes to a row of the results. */
import { ceilingOf, type Link } from '../link/link.js';
import { type Bound, boundOf } from '../measure/bound.js';
import { spreadOf } from '../statistics.js';
import type { LaneResult } from '../../target/index.js';
import type { LaneShare, SizeRow } from '../report/report.js';
import type { SizeMeasured } from './measure-size.js';
import type { Depth } from './options.js';

/** What a pull does by itself towards a seed of Weightcast. */
const usual = { outstanding: 16, queuePairs: 1, connections: 4 };

export function rowOf({ plan, passes, lone, meter, verifiedBytes }: SizeMeasured, link: Link, depth: Depth): SizeRow {
  const { size, readsPerPass } = plan;
  const bytes = sum(passes.map(({ result }) => Number(result.bytes)));
  const wireMs = sum(passes.map((pass) => pass.wireMs));
  const rates = passes.map(({ result }) => result.wireGBps);
  const averageGBps = bytes / wireMs / 1e6;
  const lanes = lanesOf(passes.map(({ result }) => result.lanes));
  const figures = {
    averageGBps,
    ceilingGBps: ceilingOf(link, size),
    inFlightBytes: Math.min(readsPerPass, inFlight(lanes.length, link, depth)) * size,
    cpu: meter.use(),
    lone,
  };
  const bound: Bound = boundOf(figures);
  return {
    bytes: size,
    iterations: passes.length * readsPerPass,
    passes: passes.length,
    peakGBps: Math.max(...rates),
    passGBps: spreadOf(rates),
    messagesPerSecond: (averageGBps * 1e9) / size,
    ...figures,
    lanes,
    verifiedBytes,
    bound,
  };
}

/** Reads under way at a time, at most. */
function inFlight(lanes: number, { transport }: Link, { outstanding, queuePairs }: Depth): number {
  if (transport === 'tcp') return lanes;
  return lanes * (queuePairs ?? usual.queuePairs) * (outstanding ?? usual.outstanding);
}

/** What each path carried of all passes, and what it lost. */
export function lanesOf(
  passes: readonly (readonly (Pick<LaneResult, 'name' | 'bytes'> & Partial<Pick<LaneResult, 'retransmits' | 'smallestReadBytes'>>)[])[],
): LaneShare[] {
  const lanes = passes.flat();
  const all = sum(lanes.map(({ bytes }) => Number(bytes)));
  return [...new Set(lanes.map(({ name }) => name))].map((name) => {
    const own = lanes.filter((lane) => lane.name === name);
    const bytes = sum(own.map((lane) => Number(lane.bytes)));
    const retransmits = sum(own.map((lane) => lane.retransmits ?? 0));
    const cut = own.flatMap(({ smallestReadBytes }) => smallestReadBytes ?? []);
    return {
      name,
      bytes,
      share: all === 0 ? 0 : bytes / all,
      ...(retransmits > 0 && { retransmits }),
      ...(cut.length > 0 && { smallestReadBytes: Math.min(...cut) }),
    };
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

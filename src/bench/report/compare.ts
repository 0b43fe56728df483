/** Two reports of the same benchmark, side by side. */
import { isDeepStrictEqual } from 'node:util';
import { WeightcastError } from '../../errors.js';
import type { KeptReport } from './load.js';

/** One figure of both. */
export interface ComparedFigure {
  readonly name: string;
  readonly unit: string;
  readonly before: number;
  readonly now: number;
  /** For the better above 0: 0.1 is a tenth faster. */
  readonly gain: number;
  /** Worse by more than the tolerance. */
  readonly regressed: boolean;
}

export interface Comparison {
  readonly before: string;
  /** 0.1: a tenth. */
  readonly tolerance: number;
  readonly figures: readonly ComparedFigure[];
  readonly regressed: boolean;
}

interface Figure {
  readonly name: string;
  readonly unit: 'GB/s' | 'ms';
  readonly value: number;
}

/**
 * @param tolerance share by which a figure may be worse: 0.1 is a tenth.
 * @throws ERR_INVALID_ARGUMENT, naming what differs, when the two did not measure the same thing on the same kind of machine.
 */
export function compareReports(before: KeptReport, now: KeptReport, tolerance: number): Comparison {
  const differences = differencesOf(before, now);
  if (differences.length > 0) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `bench --compare: these reports cannot be compared: ${differences.join('; ')}`);
  }
  const old = new Map(figuresOf(before).map((figure) => [figure.name, figure.value]));
  const figures = figuresOf(now).flatMap(({ name, unit, value }): ComparedFigure[] => {
    const then = old.get(name);
    if (then === undefined) return [];
    // Of a time, how much faster the same work is done.
    const gain = unit === 'GB/s' ? value / then - 1 : then / value - 1;
    return [{ name, unit, before: then, now: value, gain, regressed: gain < -tolerance }];
  });
  return { before: before.startedAt, tolerance, figures, regressed: figures.some((figure) => figure.regressed) };
}

/** All of which must be equal. Versions of software may differ: they are what is compared. */
function likeness(report: KeptReport): Readonly<Record<string, unknown>> {
  const { benchmark, machine, settings } = report;
  const same = { benchmark, processor: machine.cpu, cores: machine.cores, settings };
  if (report.benchmark === 'register') return { ...same, 'software device': report.software };
  const { transport, software, rails } = report.link;
  const links = rails.map(({ provider, framing, mtu, rateGbps }) => ({ provider, framing, mtu, rateGbps }));
  return { ...same, 'place of the seed': report.seed, transport, 'software device': software, rails: links };
}

function differencesOf(before: KeptReport, now: KeptReport): string[] {
  const then = likeness(before);
  return Object.entries(likeness(now)).flatMap(([name, value]) =>
    isDeepStrictEqual(then[name], value) ? [] : [`${name} was ${JSON.stringify(then[name])} and is ${JSON.stringify(value)}`],
  );
}

function figuresOf(report: KeptReport): Figure[] {
  switch (report.benchmark) {
    case 'read':
      return report.sizes.map(({ bytes, averageGBps }) => ({ name: `reads of ${String(bytes)} bytes`, unit: 'GB/s', value: averageGBps }));
    case 'model':
      return [
        { name: 'wire', unit: 'GB/s', value: report.wireGBps.median },
        { name: 'whole pull', unit: 'ms', value: report.totalMs.median },
      ];
    case 'register':
      return report.ways.map(({ way, ms }) => ({ name: way, unit: 'ms', value: ms.median }));
    case 'fanout':
      return [
        { name: 'one target', unit: 'GB/s', value: report.aloneGBps.median },
        { name: 'all targets', unit: 'GB/s', value: report.totalGBps.median },
      ];
  }
}

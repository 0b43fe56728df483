/** `bench fanout`: several targets that read from one seed at the same time. */
import { WeightcastError } from '../../errors.js';
import { ceilingOf, linkOf } from '../link/link.js';
import { Run } from '../run-facts.js';
import { CpuMeter } from '../measure/cpu.js';
import type { TimedPull } from '../measure/timed-pull.js';
import type { Depth } from '../read/options.js';
import { Reader } from '../read/reader.js';
import { type FanoutReport, schemaVersion } from '../report/report.js';
import type { Wire } from '../source/offer.js';
import { openTarget, type Target } from '../source/target.js';
import { spreadOf } from '../statistics.js';
import { fanoutFindings, fanoutNotes } from './findings.js';
import { fairness, totalGBps } from './together.js';

export interface FanoutBenchOptions {
  readonly target: Target;
  readonly wire: Wire;
  readonly depth: Depth;
  /** At the same time. */
  readonly targets: number;
  /** Bytes of a read. */
  readonly size: number;
  readonly repetitions: number;
  readonly signal: AbortSignal;
  /** What goes on, a line at a time. */
  readonly tell: (text: string) => void;
}

/**
 * Every target is a pull of its own, with memory, connections or queue pairs of its own, in this process.
 * Rejects with what the pulls reject with, ERR_CHECKSUM_MISMATCH when a wrong byte came, ERR_ABORTED when the signal fires.
 */
export async function benchFanout(options: FanoutBenchOptions): Promise<FanoutReport> {
  const { wire, depth, size, repetitions, signal, tell } = options;
  const clock = new Run();
  await using target = await openTarget(options.target, signal);
  const readers: Reader[] = [];
  try {
    while (readers.length < options.targets) readers.push(await Reader.open(target.address, wire, signal));
    const readBy = async (some: readonly Reader[], meter?: CpuMeter): Promise<TimedPull[]> => {
      for (const reader of some) reader.wipe();
      meter?.start();
      const settled = await Promise.allSettled(some.map((reader) => reader.read({ start: 0, bytes: reader.bytes }, size, depth)));
      await meter?.stop();
      // All have ended: none writes into memory that is about to go.
      const failed = settled.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    };

    const meter = new CpuMeter(target.usage);
    const alone: number[] = [];
    const together: TimedPull[][] = [];
    let verifiedBytes = 0;
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      tell(`round ${String(repetition)} of ${String(repetitions)}: one target, then ${String(options.targets)}`);
      const [first] = await readBy(readers.slice(0, 1));
      alone.push(first?.result.wireGBps ?? Number.NaN);
      together.push(await readBy(readers, meter));
      for (const reader of readers) verifiedBytes += await reader.check({ start: 0, bytes: reader.bytes });
    }

    const [sample] = together.flat();
    const link = await linkOf(sampleOf(sample), wire.gidIndex);
    const figures = {
      aloneGBps: spreadOf(alone),
      totalGBps: spreadOf(together.map(totalGBps)),
      targets: readers.map((_, index) => ({
        target: index + 1,
        GBps: spreadOf(together.map((round) => sampleOf(round[index]).wireGBps)),
      })),
      fairness: spreadOf(together.map((round) => fairness(round.map(({ result }) => result.wireGBps)))),
      cpu: meter.use(),
      verifiedBytes,
    };
    const bufferBytes = readers[0]?.bytes ?? 0;
    return {
      schemaVersion,
      benchmark: 'fanout',
      ...clock.facts(),
      seed: target.own ? 'own process' : 'elsewhere',
      link,
      settings: {
        targets: options.targets,
        bufferBytes,
        size,
        repetitions,
        outstanding: depth.outstanding ?? null,
        queuePairs: depth.queuePairs ?? null,
      },
      ...figures,
      findings: fanoutFindings(figures, link, ceilingOf(link, size)),
      notes: fanoutNotes(link),
    };
  } finally {
    for (const reader of readers) reader[Symbol.dispose]();
  }
}

function sampleOf(pulled: TimedPull | undefined): TimedPull['result'] {
  if (pulled === undefined) throw new WeightcastError('ERR_INTERNAL', 'bench: a target is missing');
  return pulled.result;
}

/** `bench model`: whole pulls of a model's tensors, by phase. */
import { WeightcastError } from '../../errors.js';
import type { PullPhase, PullResult } from '../../target/index.js';
import { ceilingOf, linkOf } from '../link/link.js';
import { Run } from '../run-facts.js';
import { CpuMeter } from '../measure/cpu.js';
import { timedPull, type TimedPull } from '../measure/timed-pull.js';
import { lanesOf } from '../read/row.js';
import { type ModelReport, type Phases, schemaVersion } from '../report/report.js';
import { requireMemory, totalBytes } from '../source/memory.js';
import { identityOf } from '../source/offer.js';
import { openTarget } from '../source/target.js';
import { type Spread, spreadOf } from '../statistics.js';
import { modelFindings, modelNotes } from './findings.js';
import { offerName } from './names.js';
import type { ModelBenchOptions } from './options.js';
import { shapeSet } from './shape-sets.js';

/** Largest read of a pull. */
const sliceBytes = 2 ** 20;

/** Rejects with what the pull rejects with, ERR_OUT_OF_MEMORY when this machine is too small, ERR_ABORTED when the signal fires. */
export async function benchModel(options: ModelBenchOptions): Promise<ModelReport> {
  const { shapes, scale, repetitions, depth, wire, signal, tell } = options;
  const clock = new Run();
  const bytes = totalBytes(shapeSet(shapes, scale));
  requireMemory('start' in options.target ? 2n * bytes : bytes, 'start' in options.target ? 'a seed and a target beside it' : 'the target');
  await using target = await openTarget(options.target, signal);
  const meter = new CpuMeter(target.usage);
  const pulls: TimedPull[] = [];
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    tell(`pull ${String(repetition)} of ${String(repetitions)}`);
    const { outstanding, queuePairs } = depth;
    const settings = {
      server: target.address,
      identity: identityOf(offerName(shapes, scale)),
      into: { kind: 'discard' },
      ...wire,
      ...(outstanding !== undefined && { readsInFlight: outstanding }),
      ...(queuePairs !== undefined && { queuePairs, connections: queuePairs }),
      reportTransfers: false,
      sliceBytes,
      signal,
    } as const;
    pulls.push(await timedPull(settings, meter));
  }
  const results = pulls.map(({ result }) => result);
  const middle = middleOf(results);
  requireVerified(results);
  const link = await linkOf(middle, wire.gidIndex);
  const figures = {
    tensors: middle.tensors,
    bytes: Number(middle.bytes),
    registrations: middle.registrations,
    workRequests: middle.workRequests,
    wireGBps: spreadOf(results.map((result) => result.wireGBps)),
    totalMs: spreadOf(results.map((result) => result.totalMs)),
    phases: phaseSpreads(results.map((result) => result.phases)),
    timeline: middle.phases,
    lanes: lanesOf(results.map((result) => result.lanes)),
    cpu: meter.use(),
    ceilingGBps: ceilingOf(link, sliceBytes),
    verifiedBytes: results.reduce((sum, { verified }) => sum + Number(verified?.bytes ?? 0n), 0),
  };
  return {
    schemaVersion,
    benchmark: 'model',
    ...clock.facts(),
    seed: target.own ? 'own process' : 'elsewhere',
    link,
    settings: { shapes, scale, repetitions, outstanding: depth.outstanding ?? null, queuePairs: depth.queuePairs ?? null },
    ...figures,
    findings: modelFindings(figures, link),
    notes: modelNotes(link, scale),
  };
}

/** By the time of the whole pull. */
function middleOf(results: readonly PullResult[]): PullResult {
  const sorted = results.toSorted((a, b) => a.totalMs - b.totalMs);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new WeightcastError('ERR_INTERNAL', 'bench: nothing was pulled');
  return middle;
}

/** The seed of a benchmark publishes checksums: a figure without them would be one of other work. */
function requireVerified(results: readonly PullResult[]): void {
  const unverified = results.find(({ verified, bytes }) => verified?.bytes !== bytes);
  if (unverified === undefined) return;
  throw new WeightcastError(
    'ERR_CHECKSUM_MISMATCH',
    `bench: only ${String(unverified.verified?.bytes ?? 0n)} bytes of ${String(unverified.bytes)} were verified`,
  );
}

function phaseSpreads(all: readonly Phases[]): Readonly<Record<PullPhase, Spread>> {
  const of = (phase: PullPhase): Spread => spreadOf(all.map((phases) => phases[phase]));
  return {
    discover: of('discover'),
    prepare: of('prepare'),
    register: of('register'),
    connect: of('connect'),
    wire: of('wire'),
    verify: of('verify'),
    write: of('write'),
  };
}

/** `bench read`: reads of given sizes, one size after the other. */
import { WeightcastError } from '../../errors.js';
import { linkOf } from '../link/link.js';
import { Run } from '../run-facts.js';
import { type ReadReport, schemaVersion } from '../report/report.js';
import { openTarget } from '../source/target.js';
import { findingsOf } from './findings.js';
import { measureSize, type SizeMeasured } from './measure-size.js';
import { notesOf } from './notes.js';
import type { ReadBenchOptions } from './options.js';
import { planSize } from './plan.js';
import { Reader } from './reader.js';
import { rowOf } from './row.js';
import { runPerftest } from '../perftest/run.js';

/**
 * Rejects with what finding and reading the seed rejects with; ERR_INVALID_ARGUMENT for a size above that of the buffer,
 * ERR_CHECKSUM_MISMATCH when a wrong byte came, ERR_ABORTED when the signal fires.
 */
export async function benchRead(options: ReadBenchOptions): Promise<ReadReport> {
  const { run, sizes, depth, wire, signal, tell } = options;
  const clock = new Run();
  await using target = await openTarget(options.target, signal);
  using reader = await Reader.open(target.address, wire, signal);
  requireSizes(sizes, reader.bytes);

  // Pays for what only the first pull of a process pays for, and tells which link it is.
  const least = Math.min(...sizes);
  const first = await reader.read({ start: 0, bytes: least }, least, depth);
  const link = await linkOf(first.result, wire.gidIndex);
  const measured: SizeMeasured[] = [];
  for (const size of sizes) {
    tell(`reads of ${String(size)} bytes`);
    const plan = planSize(size, 'iterations' in run ? run.iterations : undefined, reader.bytes);
    measured.push(await measureSize(reader, plan, options, target.usage));
  }
  const rows = measured.map((size) => rowOf(size, link, depth));
  const { rows: perftest, reason: noPerftest } = await runPerftest(options, link, target.own);
  const settings = {
    bufferBytes: reader.bytes,
    sizes,
    iterations: 'iterations' in run ? run.iterations : null,
    seconds: 'durationMs' in run ? run.durationMs / 1000 : null,
    outstanding: depth.outstanding ?? null,
    queuePairs: depth.queuePairs ?? null,
  };
  return {
    schemaVersion,
    benchmark: 'read',
    ...clock.facts(),
    seed: target.own ? 'own process' : 'elsewhere',
    link,
    settings,
    sizes: rows,
    perftest,
    noPerftest,
    timeline: middlePass(measured).result.phases,
    findings: findingsOf(rows, link, depth),
    notes: notesOf(options, link, perftest !== null),
  };
}

function requireSizes(sizes: readonly number[], buffer: number): void {
  const tooLarge = sizes.find((size) => size > buffer);
  if (tooLarge === undefined) return;
  throw new WeightcastError(
    'ERR_INVALID_ARGUMENT',
    `bench: reads of ${String(tooLarge)} bytes do not fit into a buffer of ${String(buffer)}; give a larger --buffer where the seed is`,
  );
}

/** Of the largest size. */
function middlePass(measured: readonly SizeMeasured[]): SizeMeasured['passes'][number] {
  const [largest] = measured.toSorted((a, b) => b.plan.size - a.plan.size);
  const passes = largest?.passes.toSorted((a, b) => a.result.totalMs - b.result.totalMs) ?? [];
  const pass = passes[Math.floor(passes.length / 2)];
  if (pass === undefined) throw new WeightcastError('ERR_INTERNAL', 'bench: no pass was made');
  return pass;
}

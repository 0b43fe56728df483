/** A report that was kept, read for what it is compared by. */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { toWeightcastError, WeightcastError } from '../../errors.js';
import { type Report, schemaVersion } from './report.js';

const median = v.object({ median: v.number() });
const link = v.object({
  transport: v.picklist(['rdma', 'tcp']),
  software: v.boolean(),
  rails: v.array(v.object({ provider: v.string(), framing: v.string(), mtu: v.number(), rateGbps: v.nullable(v.number()) })),
});
const common = {
  schemaVersion: v.literal(schemaVersion),
  startedAt: v.string(),
  machine: v.object({ cpu: v.string(), cores: v.number() }),
  settings: v.record(v.string(), v.unknown()),
};
const seed = v.picklist(['own process', 'elsewhere']);

const keptReport = v.variant('benchmark', [
  v.object({
    ...common,
    benchmark: v.literal('read'),
    seed,
    link,
    sizes: v.array(v.object({ bytes: v.number(), averageGBps: v.number() })),
  }),
  v.object({ ...common, benchmark: v.literal('model'), seed, link, wireGBps: median, totalMs: median }),
  v.object({
    ...common,
    benchmark: v.literal('register'),
    device: v.string(),
    software: v.boolean(),
    ways: v.array(v.object({ way: v.string(), ms: median })),
  }),
  v.object({ ...common, benchmark: v.literal('fanout'), seed, link, aloneGBps: median, totalGBps: median }),
]);

/** What two reports are compared by. */
export type KeptReport = v.InferOutput<typeof keptReport>;

/** The same of a report of now, as if it had been kept. */
export function asKept(report: Report): KeptReport {
  return v.parse(keptReport, JSON.parse(JSON.stringify(report)));
}

/**
 * Reads what `--json` printed, into a file: the first of its lines counts.
 * @throws ERR_NOT_FOUND, ERR_IO; ERR_INVALID_ARGUMENT when it is no report of this version.
 */
export async function loadReport(path: string): Promise<KeptReport> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw toWeightcastError(error, { doing: 'bench --compare', file: path });
  });
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? '';
  let value: unknown;
  try {
    // A report may also have been laid out over several lines.
    value = JSON.parse(line.trim() === '{' ? text : line);
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error), error);
  }
  const parsed = v.safeParse(keptReport, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw invalid(path, `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`);
}

function invalid(path: string, reason: string, cause?: unknown): WeightcastError {
  return new WeightcastError(
    'ERR_INVALID_ARGUMENT',
    `bench --compare: ${path} is no report of weightcast bench read, model, register or fanout (version ${String(schemaVersion)}): ${reason}`,
    { file: path, cause },
  );
}

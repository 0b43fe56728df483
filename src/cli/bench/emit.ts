/** Where a report goes: stdout, a page, beside an older one. */
import { writeFile } from 'node:fs/promises';
import type { ComparedFigure, Comparison } from '../../bench/report/compare.js';
import type { KeptReport } from '../../bench/report/load.js';
import type { Report } from '../../bench/report/report.js';
import { toWeightcastError } from '../../errors.js';
import { ExitCode } from '../exit-codes.js';
import { formatTable } from '../format.js';
import type { CommandContext } from '../run.js';
import type { ReportFlags } from './flags.js';
import { reportLines } from './tables.js';

/** Measures and shows. The older report is read first: nobody measures for minutes to learn that it is none. */
export async function measureAndShow(flags: ReportFlags, { output }: CommandContext, measure: () => Promise<Report>): Promise<ExitCode> {
  const before = flags.compare === undefined ? undefined : await kept(flags.compare);
  const report = await measure();
  if (flags.json === true) output.json(report);
  else for (const line of reportLines(report)) output.line(line);
  if (flags.report !== undefined) await writePage(flags.report, report);
  if (before === undefined) return ExitCode.ok;

  const { compareReports } = await import('../../bench/report/compare.js');
  const { asKept } = await import('../../bench/report/load.js');
  const comparison = compareReports(before, asKept(report), flags.tolerance);
  if (flags.json === true) output.json({ comparison });
  else for (const line of comparisonLines(comparison)) output.line(line);
  return comparison.regressed ? ExitCode.regression : ExitCode.ok;
}

async function kept(path: string): Promise<KeptReport> {
  const { loadReport } = await import('../../bench/report/load.js');
  return loadReport(path);
}

async function writePage(path: string, report: Report): Promise<void> {
  const { reportPage } = await import('../../bench/html/page.js');
  await writeFile(path, reportPage(report)).catch((error: unknown) => {
    throw toWeightcastError(error, { doing: 'bench --report', file: path });
  });
}

function comparisonLines({ before, tolerance, figures, regressed }: Comparison): string[] {
  const percent = (share: number): string => `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %`;
  const row = ({ name, unit, before: then, now, gain, regressed: bad }: ComparedFigure): string[] => [
    name,
    `${then.toPrecision(4)} ${unit}`,
    `${now.toPrecision(4)} ${unit}`,
    percent(gain),
    bad ? 'REGRESSION' : '',
  ];
  const verdict = regressed ? 'slower than before' : 'as fast as before';
  return [
    '',
    ...formatTable([['COMPARED', before, 'NOW', 'GAIN', ''], ...figures.map(row)]),
    `${verdict}, with a tolerance of ${(tolerance * 100).toFixed(1)} %`,
  ];
}

/** The table of `bench read`: perftest's columns, and behind them what it has not. */
import type { ReadReport, SizeRow } from '../../bench/report/report.js';
import { formatCount } from '../format.js';

export function readLines({ sizes, perftest, noPerftest, link }: ReadReport): string[] {
  const head = ['#bytes', '#iterations', 'BW peak[GB/s]', 'BW average[GB/s]', 'MsgRate[Mpps]', 'lone p50[us]', 'p99[us]'];
  const ceiling = sizes.some((row) => row.ceilingGBps !== null);
  const rows = sizes.map((row) => [...perftestCells(row), ...loneCells(row), ...(ceiling ? [rate(row.ceilingGBps)] : []), row.bound]);
  return [
    ...alignRight([[...head, ...(ceiling ? ['ceiling[GB/s]'] : []), 'limited by'], ...rows]),
    ...lanesLines(sizes),
    ...(link.transport === 'tcp' ? [] : ['', ...perftestLines(perftest, noPerftest, sizes)]),
  ];
}

function perftestCells({ bytes, iterations, peakGBps, averageGBps, messagesPerSecond }: SizeRow): string[] {
  return [String(bytes), String(iterations), peakGBps.toFixed(4), averageGBps.toFixed(4), (messagesPerSecond / 1e6).toFixed(6)];
}

function loneCells({ lone }: SizeRow): string[] {
  return lone === null ? ['-', '-'] : [lone.p50Us.toFixed(0), lone.p99Us.toFixed(0)];
}

function rate(GBps: number | null): string {
  return GBps === null ? '-' : GBps.toFixed(3);
}

/** What each path carried of the largest size. */
function lanesLines(sizes: readonly SizeRow[]): string[] {
  const [largest] = sizes.toSorted((a, b) => b.bytes - a.bytes);
  if (largest === undefined) return [];
  const shares = largest.lanes.map(({ name, share }) => `${name} ${(share * 100).toFixed(1)} %`);
  return ['', `paths, reads of ${formatCount(largest.bytes)} bytes: ${shares.join(', ')}`];
}

function perftestLines(rows: ReadReport['perftest'], reason: string, sizes: readonly SizeRow[]): string[] {
  if (rows === null) return [`ib_read_bw was not run: ${reason}`];
  const ours = new Map(sizes.map((row) => [row.bytes, row.averageGBps]));
  const table = rows.map(({ bytes, iterations, peakGBps, averageGBps }) => [
    String(bytes),
    String(iterations),
    peakGBps.toFixed(4),
    averageGBps.toFixed(4),
    ((ours.get(bytes) ?? Number.NaN) / averageGBps).toFixed(3),
  ]);
  return alignRight([['ib_read_bw #bytes', '#iterations', 'BW peak[GB/s]', 'BW average[GB/s]', 'ours / its average'], ...table]);
}

/** Columns of numbers, two spaces between; the last one is text. */
export function alignRight(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

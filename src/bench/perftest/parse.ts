/** What `ib_read_bw` prints. */
import { WeightcastError } from '../../errors.js';

export interface PerftestLine {
  readonly bytes: number;
  readonly iterations: number;
  readonly peakGBps: number;
  readonly averageGBps: number;
}

/** It says MB/sec, newer ones MiB/sec, and means 2^20 bytes in both. */
const mebibyte = 2 ** 20;

/** @throws ERR_PROTOCOL when there is no line of results in MiB/s. */
export function parsePerftest(output: string): PerftestLine {
  const row = /^ *(\d+)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+[\d.]+ *$/m.exec(output);
  if (row === null || !/BW average\[Mi?B\/sec\]/.test(output)) {
    throw new WeightcastError('ERR_PROTOCOL', `bench: ib_read_bw printed no results: ${output.trim().slice(-300)}`);
  }
  const GBps = (text = ''): number => (Number(text) * mebibyte) / 1e9;
  return { bytes: Number(row[1]), iterations: Number(row[2]), peakGBps: GBps(row[3]), averageGBps: GBps(row[4]) };
}

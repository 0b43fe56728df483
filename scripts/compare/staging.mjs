// Reading into an accelerator's memory by way of staging beside reading into host memory: one Soft-RoCE device, one boot, the tests'
// stand-in for the driver.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, run } from '../testing/shell.mjs';
import { versionOf } from './processes.mjs';
import { reportRates } from './rates.mjs';
import { folder, loadBefore, saveRecord } from './record.mjs';

export const title = 'reading into cuda:0 by way of staging beside reading into host memory, rxe0 (Soft-RoCE), a stand-in for the driver';

const RUNS = 9;
/** Rate of ours over that into host memory. */
const LEAST_RATIO = 0.9;

const measured = path.join(folder, 'staging-guest');

/** @returns {Promise<boolean>} whether staging reaches {@link LEAST_RATIO} */
export async function measure() {
  const driver = process.env.WEIGHTCAST_CUDA_LIB;
  if (driver === undefined) throw new Error('WEIGHTCAST_CUDA_LIB names no driver: build the stand-in of the tests and name it');
  const loadAverageBefore = loadBefore();
  rmSync(measured, { recursive: true, force: true });
  const machine = [
    '--hosts',
    '1',
    '--rails',
    '1',
    '--memory',
    '4096',
    '--out',
    measured,
    '--env',
    `WEIGHTCAST_CUDA_LIB=./${path.relative(root, driver)}`,
  ];
  const inside = ['node', 'scripts/compare/staging-guest.mjs', `${RUNS}`];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const { runs, versions, ...facts } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  const report = reportRates(`slices of 1 MiB, ${facts.slots} slots`, runs, { host: LEAST_RATIO }, 'staging');
  saveRecord('staging', {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes; bytes over the wire phase',
    ...facts,
    ...report,
    loadAverageBefore,
    runs,
    versions: { ...versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'Soft-RoCE under emulation: only the ratio means anything, not the rates',
      'the stand-in copies with the processors that Soft-RoCE needs, too; a GPU does so by itself',
    ],
  });
  return report.holds;
}

// What many small tensors cost beside the same bytes in one: pulls over one Soft-RoCE device in one boot.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '../testing/shell.mjs';
import { versionOf } from './processes.mjs';
import { reportRates } from './rates.mjs';
import { folder, judged, loadBefore, saveRecord } from './record.mjs';
import { median } from './statistics.mjs';

export const title = 'pulls of 3 000 tensors of 16 KiB beside one of 48 MiB, and reads of 100 000 of 4 KiB, rxe0 (Soft-RoCE)';

const RUNS = 7;

/** By who reads in small-guest.mjs: least rate of the small tensors over that of the one large. */
const LEAST_RATIOS = { contiguous: 0.95, shuffled: 0.85 };
/** At most so many reads a tensor of the 100 000 that lie in another order at the target. */
const MOST_READS_A_TENSOR = 1 / 8;

const measured = path.join(folder, 'small-guest');

/** @returns {Promise<boolean>} whether all bars hold */
export async function measure() {
  const loadAverageBefore = loadBefore();
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '1', '--memory', '5120', '--timeout', '1500', '--out', measured];
  const inside = ['node', 'scripts/compare/small-guest.mjs', `${RUNS}`];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const { runs, versions } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  const rates = Object.entries(LEAST_RATIOS).map(([who, least]) =>
    reportRates(`3 000 tensors of 16 KiB, ${who}, beside one tensor of 48 MiB`, runs, { one: least }, who),
  );
  const reads = reportReads(runs.filter(({ who }) => who === 'many'));
  const holds = [...rates, reads].every((each) => each.holds);
  saveRecord('small', {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes over the wire phase, from before planning to the last byte',
    holds,
    loadAverageBefore,
    rates,
    reads,
    runs,
    versions: { ...versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'Soft-RoCE under emulation: only ratios mean anything, not rates; planning and JavaScript are emulated too and take many times what they take on a processor',
      'seeds in processes of their own; all bytes are distinct; they are hashed while others come, within the time, and compared',
    ],
  });
  return holds;
}

/** Prints how many reads brought the 100 000 tensors. */
function reportReads(runs) {
  const [{ tensors }] = runs;
  const most = Math.max(...runs.map(({ reads }) => reads));
  const rate = median(runs.map(({ bytes, seconds }) => bytes / seconds / 1e9));
  const bar = `${most} work requests for ${tensors} shuffled tensors of 4 KiB (one for ${(tensors / most).toFixed(1)}; ${rate.toFixed(4)} GB/s)`;
  const holds = judged(most <= tensors * MOST_READS_A_TENSOR, `${bar}, at most one for ${1 / MOST_READS_A_TENSOR} is asked for`);
  return { tensors, workRequests: runs.map(({ reads }) => reads), mostReadsATensor: MOST_READS_A_TENSOR, holds };
}

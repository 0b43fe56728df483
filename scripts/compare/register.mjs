// What registering many tensors costs beside a loop of ibv_reg_mr in C, and beside one registration of all: one Soft-RoCE device, one boot.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, run } from '../testing/shell.mjs';
import { versionOf } from './processes.mjs';
import { folder, judged, loadBefore, saveRecord } from './record.mjs';
import { compared, median, table } from './statistics.mjs';

export const title = 'registering 3 000 tensors of 16 KiB beside a C loop of ibv_reg_mr and ibv_dereg_mr, and merged, rxe0 (Soft-RoCE)';

const RUNS = 15;
/** Time of ours over that of the loop. */
const MOST_RATIO = 1.1;
/** Time tensor by tensor over that of one registration. */
const LEAST_MERGED_GAIN = 5;

const loop = path.join(folder, 'register-loop');
const measured = path.join(folder, 'register-guest');

/** @returns {Promise<boolean>} whether both bars hold */
export async function measure() {
  mkdirSync(folder, { recursive: true });
  const compile = ['cc', '-O2', '-Wall', '-Wextra', '-o', loop, path.join(root, 'scripts/compare/register-loop.c'), '-libverbs'];
  if (!(await run(compile))) throw new Error('register-loop.c does not compile');
  const loadAverageBefore = loadBefore();
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '1', '--out', measured];
  const inside = ['node', 'scripts/compare/register-guest.mjs', `${RUNS}`, loop];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const { runs, tensors, versions } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  const report = reportTimes(runs);
  saveRecord('register', {
    title,
    unit: 'ms; registering and releasing',
    tensors,
    ...report,
    loadAverageBefore,
    runs,
    versions: { ...versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'Soft-RoCE under emulation: only ratios mean anything, not times; a NIC is told nothing here',
      'equal memory, not the same: the loop is a process of its own. REMOTE_READ, pages touched before; ours by the code of a seed',
    ],
  });
  return report.holds;
}

/** Prints the times and what they come to. */
function reportTimes(runs) {
  const total = ({ registerMs, releaseMs }) => registerMs + releaseMs;
  const of = (who, value = total) => runs.filter((entry) => entry.who === who).map(value);
  const rows = [['', 'register ms', 'release ms', 'both ms', 'lowest', 'highest']];
  for (const who of ['loop', 'per tensor', 'merged']) {
    const parts = [of(who, ({ registerMs }) => registerMs), of(who, ({ releaseMs }) => releaseMs), of(who)].map(median);
    rows.push([who, ...[...parts, Math.min(...of(who)), Math.max(...of(who))].map((ms) => ms.toFixed(2))]);
  }
  console.log(`\nmedians of ${RUNS} runs in turn\n\n${table(rows)}\n`);
  const toLoop = compared(of('per tensor'), of('loop'));
  const mergedGain = compared(of('per tensor'), of('merged'));
  const pairs = ({ lowest, highest }) => `(pairs ${lowest.toFixed(2)} to ${highest.toFixed(2)})`;
  const holds = [
    judged(
      toLoop.ratio <= MOST_RATIO,
      `tensor by tensor in ${toLoop.ratio.toFixed(2)} of the loop's time ${pairs(toLoop)}, at most ${MOST_RATIO} is asked for`,
    ),
    judged(
      mergedGain.ratio >= LEAST_MERGED_GAIN,
      `merged ${mergedGain.ratio.toFixed(1)} times as fast as tensor by tensor ${pairs(mergedGain)}, at least ${LEAST_MERGED_GAIN} is asked for`,
    ),
  ];
  return { holds: holds.every(Boolean), toLoop, mergedGain };
}

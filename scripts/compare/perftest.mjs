// Weightcast's `pull` over one queue pair beside perftest's `ib_read_bw`, on one Soft-RoCE device in one boot.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../testing/shell.mjs';
import { versionOf } from './processes.mjs';
import { folder, loadBefore, saveRecord } from './record.mjs';
import { compared, table } from './statistics.mjs';

export const title = 'pull over RDMA beside ib_read_bw: reads of 1 MiB and of 64 KiB, 1 queue pair, 16 outstanding, rxe0 (Soft-RoCE)';

/** By bytes of a read: below this part of the peer's median the comparison fails. */
const LEAST_RATIOS = { [1024 * 1024]: 0.98, [64 * 1024]: 0.95 };

/** Qwen2.5-7B with every dimension divided by this: about 310 MB, at least {@link LEAST_BYTES}. */
const MODEL_SCALE = 7;
const LEAST_BYTES = 256 * 1024 * 1024;

const model = path.join(folder, 'model');
const measured = path.join(folder, 'perftest-guest');

/** @returns {Promise<boolean>} whether the ratios of the medians are at least {@link LEAST_RATIOS} */
export async function measure() {
  await makeModel();
  const load = loadBefore();
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '1', '--memory', '6144', '--timeout', '1500', '--out', measured];
  const inside = ['node', 'scripts/compare/perftest-guest.mjs', model];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const guest = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  return report({ ...guest, load });
}

async function makeModel() {
  const complete = path.join(model, '.complete');
  const wanted = `qwen2_5_7b scale ${MODEL_SCALE}`;
  if (existsSync(complete) && readFileSync(complete, 'utf8') === wanted) return;
  console.log(`making a model of ${wanted}`);
  const { generateModel } = await import('../../dist/model/generate.js');
  const { qwen2_5_7b } = await import('../../dist/model/shapes/index.js');
  rmSync(model, { recursive: true, force: true });
  await generateModel(model, qwen2_5_7b({ scale: MODEL_SCALE }));
  writeFileSync(complete, wanted);
}

function report({ runs, commands, versions, load }) {
  for (const { bytes } of runs) if (bytes < LEAST_BYTES) throw new Error(`a run moved ${bytes} bytes, which is too few to count`);
  const sizes = Object.entries(LEAST_RATIOS).map(([size, least]) =>
    ofSize(
      runs.filter((entry) => entry.size === Number(size)),
      Number(size),
      least,
    ),
  );
  const holds = sizes.every((size) => size.holds);
  saveRecord('perftest', {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes; ours is bytes over the wire phase, theirs is "BW average"',
    holds,
    sizes,
    loadAverageBefore: load,
    runs,
    commands,
    versions: { ...versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'Soft-RoCE under emulation: only the ratio means anything, not the rates',
      'ib_read_bw reads one small buffer again and again, which flatters it; pull reads every byte of a model once and verifies it',
    ],
  });
  return holds;
}

/** Prints the runs of one size of reads and what they come to. */
function ofSize(runs, size, leastRatio) {
  const ours = runs.filter((entry) => entry.who === 'weightcast');
  const theirs = runs.filter((entry) => entry.who === 'ib_read_bw');
  const result = compared(
    ours.map((entry) => entry.GBps),
    theirs.map((entry) => entry.GBps),
  );
  const rows = [['run', 'ib_read_bw GB/s', 'weightcast GB/s', 'ratio']];
  result.pairwise.forEach((ratio, i) => rows.push([`${i + 1}`, theirs[i].GBps.toFixed(4), ours[i].GBps.toFixed(4), ratio.toFixed(3)]));
  rows.push(['median', result.theirs.toFixed(4), result.ours.toFixed(4), result.ratio.toFixed(3)]);
  console.log(`\nreads of ${size / 1024} KiB\n\n${table(rows)}\n`);
  const holds = result.ratio >= leastRatio;
  console.log(`ratio of the medians ${result.ratio.toFixed(3)}, pairs from ${result.lowest.toFixed(3)} to ${result.highest.toFixed(3)}`);
  console.log(`${holds ? 'holds' : 'FAILED'}: at least ${leastRatio.toFixed(2)} is asked for`);
  return { bytes: size, leastRatio, holds, ...result };
}

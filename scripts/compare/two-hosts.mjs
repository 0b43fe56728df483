// Reading over two joined Soft-RoCE machines whose wires are made worse: `latency`, `loss` and `rails`.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '../testing/shell.mjs';
import { versionOf } from './processes.mjs';
import { folder, loadBefore, saveRecord } from './record.mjs';
import { median, table } from './statistics.mjs';

/**
 * One comparison: what it asks for is a list of ratios of medians, each at least (or between) what is asked for.
 * @param {{ name: string, title: string, rails: number, environment?: string[], figures: (runs: any[]) => { what: string, value: number, least: number, most?: number }[] }} of
 */
function comparison(of) {
  return { title: of.title, measure: () => measure(of) };
}

export const latency = comparison({
  name: 'latency',
  title: '5 ms more to each packet: 64 KiB reads, 16 outstanding, beside ib_read_bw and beside one at a time; two hosts (Soft-RoCE)',
  rails: 1,
  figures: (runs) => [
    ratio('16 outstanding, beside ib_read_bw -o 16', rates(runs, 'weightcast 16'), rates(runs, 'ib_read_bw 16'), 0.95),
    ratio('16 outstanding, beside our own 1', rates(runs, 'weightcast 16'), rates(runs, 'weightcast 1'), 3.5),
  ],
});

export const loss = comparison({
  name: 'loss',
  title: 'one packet of a hundred lost: default settings beside the better of ib_read_bw at 64 KiB and at 1 MiB; two hosts (Soft-RoCE)',
  rails: 1,
  figures: (runs) => {
    const peers = ['ib_read_bw 64 KiB', 'ib_read_bw 1 MiB'].toSorted((a, b) => median(rates(runs, b)) - median(rates(runs, a)));
    return [ratio(`beside the better, ${peers[0]}`, rates(runs, 'weightcast'), rates(runs, peers[0]), 1)];
  },
});

export const rails = comparison({
  name: 'rails',
  title: 'two rails: equal ones in equal parts, and one at a quarter of the other beside the sum of each alone; two hosts (Soft-RoCE)',
  rails: 2,
  // Bytes queue for longer at the slow rail than the ACK timeout of 67 ms when the emulated machines wait for a processor.
  environment: ['WEIGHTCAST_IB_TIMEOUT=17'],
  figures: (runs) => {
    const firstPart = runs.filter(({ who }) => who === 'equal').map(({ lanes, bytes }) => lanes[0].bytes / bytes);
    const slow = rates(runs, 'slow alone');
    const sums = rates(runs, 'fast alone').map((rate, i) => rate + slow[i]);
    return [
      { what: 'least part of the first of two equal rails', value: Math.min(...firstPart), least: 0.45 },
      { what: 'greatest part of it', value: Math.max(...firstPart), least: 0.45, most: 0.55 },
      ratio('both, beside the sum of a fast and a slow one alone', rates(runs, 'both'), sums, 0.9),
    ];
  },
});

function rates(runs, who) {
  return runs.filter((entry) => entry.who === who).map(({ GBps }) => GBps);
}

/** Medians over each other; `pairs` are runs that stood next to each other. */
function ratio(what, ours, theirs, least) {
  const pairs = ours.map((rate, i) => rate / theirs[i]);
  return { what, value: median(ours) / median(theirs), lowest: Math.min(...pairs), highest: Math.max(...pairs), least };
}

/** @returns {Promise<boolean>} whether every figure is as asked for */
async function measure({ name, title, rails: railCount, environment = [], figures }) {
  const load = loadBefore();
  const measured = path.join(folder, `${name}-guest`);
  rmSync(measured, { recursive: true, force: true });
  const machines = ['--hosts', '2', '--rails', `${railCount}`, '--memory', '2048', '--timeout', '900', '--out', measured];
  const variables = environment.flatMap((variable) => ['--env', variable]);
  const inside = ['node', 'scripts/compare/two-hosts/guest.mjs', name];
  if (!(await run(['scripts/softroce-vm', ...machines, ...variables, '--', ...inside])))
    throw new Error('the measurement inside the machines failed');
  const { runs, versions } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  for (const { who, bytes, verifiedBytes } of runs) {
    if (verifiedBytes !== undefined && verifiedBytes !== bytes) throw new Error(`${who}: ${verifiedBytes} of ${bytes} bytes were compared`);
  }
  const judged = figures(runs).map((figure) => ({
    ...figure,
    holds: figure.value >= figure.least && figure.value <= (figure.most ?? Infinity),
  }));
  const holds = judged.every((figure) => figure.holds);
  print(runs, judged);
  saveRecord(name, {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes; ours is bytes over the wire phase, all compared afterwards; theirs is "BW average"',
    environment,
    holds,
    figures: judged,
    loadAverageBefore: load,
    runs,
    versions: { ...versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'Soft-RoCE under emulation: only ratios mean anything, not the rates',
      'ib_read_bw reads one buffer again and again, out of the cache, and compares nothing: that flatters it; ours reads distinct bytes into distinct memory',
    ],
  });
  return holds;
}

function print(runs, figures) {
  const rows = [['what', 'runs', 'least', 'median', 'most', 'GB/s']];
  for (const who of new Set(runs.map((entry) => entry.who))) {
    const of = rates(runs, who);
    rows.push([who, `${of.length}`, ...[Math.min(...of), median(of), Math.max(...of)].map((rate) => rate.toFixed(4)), '']);
  }
  console.log(`\n${table(rows)}\n`);
  for (const { what, value, lowest, highest, least, most, holds } of figures) {
    const pairs = lowest === undefined ? '' : ` (pairs from ${lowest.toFixed(3)} to ${highest.toFixed(3)})`;
    const asked = most === undefined ? `at least ${least}` : `from ${least} to ${most}`;
    console.log(`${what}: ${value.toFixed(3)}${pairs}; ${holds ? 'holds' : 'FAILED'}: ${asked} is asked for`);
  }
}

// Our reader beside Mooncake's own, out of one Mooncake seed, over the two rails of one Soft-RoCE machine, in one boot.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, run } from '../testing/shell.mjs';
import { workloads } from './mooncake-workloads.mjs';
import { compared, median, table } from './statistics.mjs';

/** Runs of each reader and workload, alternating. */
const RUNS = 7;

const measured = path.join(root, 'build/compare/mooncake-guest');

/** Three copies of 1 GiB (the seed's, both readers') and what else is written and run. */
const MEMORY_MIB = 7168;

/** @returns {Promise<{ holds: boolean, results: object[], versions: Record<string, string> }>} */
export async function measureRdma() {
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '2', '--memory', `${MEMORY_MIB}`, '--timeout', '3000', '--out', measured];
  const inside = ['node', 'scripts/compare/mooncake-guest.mjs', `${RUNS}`];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const { results, versions } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  const reports = results.map((result) =>
    report(
      result,
      workloads.find((workload) => workload.name === result.name),
    ),
  );
  return { holds: reports.every((each) => each.holds), results: reports, versions };
}

function report({ name, runs }, { leastRatio }) {
  const of = (who) => runs.filter((entry) => entry.who === who);
  const rate = ({ bytes, seconds }) => bytes / seconds / 1e9;
  const cpu = ({ bytes, cpuSeconds }) => cpuSeconds / (bytes / 1e9);
  const [theirs, ours] = [of('mooncake'), of('weightcast')];
  const result = compared(ours.map(rate), theirs.map(rate));
  const rows = [['run', 'Mooncake GB/s', 'CPU s/GB', 'Weightcast GB/s', 'CPU s/GB', 'reads', 'ratio']];
  const row = (label, their, our, ratio) => {
    const numbers = [
      rate(their).toFixed(4),
      cpu(their).toFixed(2),
      rate(our).toFixed(4),
      cpu(our).toFixed(2),
      `${our.reads}`,
      ratio.toFixed(2),
    ];
    rows.push([label, ...numbers]);
  };
  result.pairwise.forEach((ratio, i) => row(`${i + 1}`, theirs[i], ours[i], ratio));
  const cpuSeconds = { ours: median(ours.map(cpu)), theirs: median(theirs.map(cpu)) };
  const medians = [result.theirs.toFixed(4), cpuSeconds.theirs.toFixed(2), result.ours.toFixed(4), cpuSeconds.ours.toFixed(2), ''];
  rows.push(['median', ...medians, result.ratio.toFixed(2)]);
  const holds = result.ratio >= leastRatio;
  console.log(`\n${name}, over RDMA\n\n${table(rows)}\n`);
  console.log(`ratio of the medians ${result.ratio.toFixed(2)}, pairs from ${result.lowest.toFixed(2)} to ${result.highest.toFixed(2)}`);
  console.log(`${holds ? 'holds' : 'FAILED'}: at least ${leastRatio.toFixed(2)} is asked for`);
  return { name, leastRatio, holds, ...result, cpuSecondsPerGB: cpuSeconds, runs };
}

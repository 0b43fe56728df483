// Our reader beside Mooncake's own, out of one Mooncake seed, over the two rails of one Soft-RoCE machine, in one boot.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, run } from '../../testing/shell.mjs';
import { report } from './report.mjs';
import { workloads } from './workloads.mjs';

/** Runs of each reader and workload, alternating. */
const RUNS = 7;

const measured = path.join(root, 'build/compare/mooncake-guest');

/** Three copies of 1 GiB (the seed's, both readers') and what else is written and run. */
const MEMORY_MIB = 7168;

/** @returns {Promise<{ holds: boolean, results: object[], versions: Record<string, string> }>} */
export async function measureRdma() {
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '2', '--memory', `${MEMORY_MIB}`, '--timeout', '3000', '--out', measured];
  const inside = ['node', 'scripts/compare/mooncake/guest.mjs', `${RUNS}`];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  const { results, versions } = JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
  const leastRatio = ({ name }) => workloads.find((workload) => workload.name === name).leastRatio;
  const reports = results.map((result) => report(result, leastRatio(result), 'RDMA'));
  return { holds: reports.every((each) => each.holds), results: reports, versions };
}

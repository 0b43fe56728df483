// What a pull costs besides the wire: verification, processor time beside ib_read_bw's, delays of the event loop.
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '../testing/shell.mjs';
import { Destination, idleP99Ms } from './cost/pulls.mjs';
import { openOffer } from './offer.mjs';
import { versionOf } from './processes.mjs';
import { folder, judged, loadBefore, saveRecord } from './record.mjs';
import { compared, median, table } from './statistics.mjs';
import { usedMemory } from './memory.mjs';

export const title = 'what a pull costs: verification over TCP and RDMA, processor time beside ib_read_bw -e, event loop';

const RUNS = 7;
/**
 * Over TCP: 2 GiB.
 * @type {[count: number, bytes: number]}
 */
const TENSORS = [64, 32 * 2 ** 20];

/** The rate with every byte verified, over that without. */
const LEAST_VERIFIED = { tcp: 0.75, rdma: 0.9 };
/** Processor seconds a GB, of the whole computer, over those with ib_read_bw -e. */
const MOST_CPU = 1.1;
/** Of the event loop's p99 delay above that of an idle one. */
const MOST_DELAY_MS = 5;

const measured = path.join(folder, 'cost-guest');

/** @returns {Promise<boolean>} whether all bars hold */
export async function measure() {
  const loadAverageBefore = loadBefore();
  const tcp = await overTcp();
  const rdma = await overRdma();
  const cpu = cpuBeside(rdma.runs, ({ allCpuSeconds }) => allCpuSeconds);
  const shares = {
    'reading process': cpuBeside(rdma.runs, ({ cpuSeconds }) => cpuSeconds),
    'reading process and of ksoftirqd': cpuBeside(rdma.runs, ({ cpuSeconds, softirqSeconds }) => cpuSeconds + softirqSeconds),
  };
  for (const [what, { ours, theirs, ratio }] of Object.entries(shares)) {
    console.log(`of the ${what}, not judged: ${ours.toFixed(2)} and ${theirs.toFixed(2)} processor seconds a GB, ${ratio.toFixed(3)}`);
  }
  const delays = compared(
    of(tcp, 'verified').map(({ loopP99Ms }) => loopP99Ms),
    of(tcp, 'verified').map(({ idleP99 }) => idleP99),
  );
  const verified = { tcp: verifiedRate('TCP', tcp), rdma: verifiedRate('RDMA (Soft-RoCE)', rdma.runs) };
  const verdicts = [
    ...Object.entries(verified).map(([wire, { ratio, lowest, highest }]) =>
      judged(
        ratio >= LEAST_VERIFIED[wire],
        `verified over ${wire}: ${ratio.toFixed(3)} of the rate without (pairs ${lowest.toFixed(3)} to ${highest.toFixed(3)}), at least ${LEAST_VERIFIED[wire]}`,
      ),
    ),
    judged(
      cpu.ratio <= MOST_CPU,
      `processor seconds a GB over RDMA, of the whole computer: ${cpu.ours.toFixed(2)}, ib_read_bw -e ${cpu.theirs.toFixed(2)}: ${cpu.ratio.toFixed(3)} (pairs ${cpu.lowest.toFixed(3)} to ${cpu.highest.toFixed(3)}), at most ${MOST_CPU}`,
    ),
    judged(
      delays.ours - delays.theirs <= MOST_DELAY_MS,
      `event loop, p99: ${delays.ours.toFixed(2)} ms in a pull over TCP, ${delays.theirs.toFixed(2)} idle; at most ${MOST_DELAY_MS} more`,
    ),
  ];
  const holds = verdicts.every(Boolean);
  saveRecord('cost', {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes, over the phases wire and verify; processor seconds of the whole computer a GB; ms',
    holds,
    bars: { leastVerified: LEAST_VERIFIED, mostCpu: MOST_CPU, mostDelayMs: MOST_DELAY_MS },
    loadAverageBefore,
    verified,
    cpu,
    shares,
    delays,
    runs: { tcp, rdma: rdma.runs },
    command: rdma.command,
    versions: { ...rdma.versions, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'processor seconds of ours are those of the wire phase; of ib_read_bw all, less what it takes for five reads',
      'all of Soft-RoCE, the side that serves too, runs in the reading process, in ksoftirqd or in the idle task, as it happens, so everything is counted',
      'ib_read_bw reads one small buffer again and again',
    ],
  });
  return holds;
}

const of = (runs, wanted) => runs.filter(({ who }) => who === wanted);

function verifiedRate(name, runs) {
  const rates = (who) => of(runs, who).map(({ bytes, seconds }) => bytes / seconds / 1e9);
  const result = compared(rates('verified'), rates('unverified'));
  const rows = [['run', 'unverified GB/s', 'verified GB/s', 'ratio']];
  result.pairwise.forEach((ratio, i) =>
    rows.push([`${i + 1}`, rates('unverified')[i].toFixed(3), rates('verified')[i].toFixed(3), ratio.toFixed(3)]),
  );
  rows.push(['median', result.theirs.toFixed(3), result.ours.toFixed(3), result.ratio.toFixed(3)]);
  console.log(`\n${name}\n\n${table(rows)}\n`);
  return result;
}

/** Less what starting ib_read_bw takes, and the reads that it did by then. @param secondsOf a run's processor seconds */
function cpuBeside(runs, secondsOf) {
  const start = of(runs, 'ib_read_bw start');
  const startSeconds = median(start.map(secondsOf));
  const ours = of(runs, 'unverified').map((run) => (secondsOf(run) / run.bytes) * 1e9);
  const theirs = of(runs, 'ib_read_bw').map((run) => ((secondsOf(run) - startSeconds) / (run.bytes - start[0].bytes)) * 1e9);
  return compared(ours, theirs);
}

async function overTcp() {
  const wire = { transport: 'tcp', host: '127.0.0.1' };
  const offer = await openOffer({ name: 'compare-cost', tensors: TENSORS, wire });
  const memory = await usedMemory(TENSORS);
  const destination = new Destination(memory);
  const runs = [];
  try {
    for (let turn = 0; turn <= RUNS; turn += 1) {
      for (const [who, verify] of Object.entries({ unverified: false, verified: true })) {
        const cost = await destination.costOf({ ...offer.from, ...wire, verify }, { watched: true });
        const idleP99 = await idleP99Ms(cost.seconds);
        console.log(`TCP, run ${turn} of ${RUNS}: ${who} ${(cost.bytes / cost.seconds / 1e9).toFixed(2)} GB/s`);
        if (turn > 0) runs.push({ run: turn, who, ...cost, idleP99 });
      }
    }
  } finally {
    memory.region.close();
    await offer.stop();
  }
  return runs;
}

async function overRdma() {
  rmSync(measured, { recursive: true, force: true });
  const machine = ['--hosts', '1', '--rails', '1', '--memory', '4096', '--timeout', '1500', '--out', measured];
  const inside = ['node', 'scripts/compare/cost/guest.mjs', `${RUNS}`];
  if (!(await run(['scripts/softroce-vm', ...machine, '--', ...inside]))) throw new Error('the measurement inside the machine failed');
  return JSON.parse(readFileSync(path.join(measured, 'runs.json'), 'utf8'));
}

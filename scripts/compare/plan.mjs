// What planning costs a tensor, from a thousand tensors to a million: no wire, no peer, bars of our own.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { finished } from './processes.mjs';
import { judged, loadBefore, saveRecord } from './record.mjs';
import { median, table } from './statistics.mjs';

export const title = 'planning 1 000 to 1 000 000 tensors: time and memory a tensor, and what JavaScript does before';

/** Processes of each case, taking turns. */
const RUNS = 5;
const COUNTS = [1e3, 1e4, 1e5, 1e6];
const ORDERS = ['contiguous', 'shuffled'];

/** Of a million tensors, in either order. */
const MOST_PLAN_MS = 1000;
/** A tensor of a million beside one of a thousand: sorting alone compares twice as often. */
const MOST_GROWTH = 2.5;
/** Memory a tensor, of a million beside of a hundred thousand; fewer are lost among pages that are there anyway. */
const MOST_MEMORY_GROWTH = 1.25;

const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'plan-process.mjs');

/** @returns {Promise<boolean>} whether all bars hold */
export async function measure() {
  const loadAverageBefore = loadBefore();
  const cases = ORDERS.flatMap((order) => COUNTS.map((count) => ({ order, count, runs: [] })));
  for (let run = 1; run <= RUNS; run += 1) {
    for (const { order, count, runs } of cases) {
      runs.push(JSON.parse(await finished([process.execPath, '--expose-gc', program, `${count}`, order])));
    }
    console.log(`round ${run} of ${RUNS} is done`);
  }
  const rows = cases.map(summarized);
  console.log(`\n${table([['tensors', 'order', ...columns.map(({ heading }) => heading), 'reads'], ...rows.map(cells)])}\n`);
  const of = (order, count) => rows.find((row) => row.order === order && row.count === count);
  const verdicts = ORDERS.flatMap((order) => {
    const [least, many, most] = [of(order, 1e3), of(order, 1e5), of(order, 1e6)];
    const growth = most.planNs.median / least.planNs.median;
    const memoryGrowth = most.planBytes.median / many.planBytes.median;
    const planMs = most.planNs.median;
    return [
      judged(planMs <= MOST_PLAN_MS, `${order}: a million are planned in ${planMs.toFixed(0)} ms, at most ${MOST_PLAN_MS}`),
      judged(growth <= MOST_GROWTH, `${order}: time a tensor grows ${growth.toFixed(2)} fold from 1e3 to 1e6, at most ${MOST_GROWTH}`),
      judged(
        memoryGrowth <= MOST_MEMORY_GROWTH,
        `${order}: memory a tensor ${memoryGrowth.toFixed(2)} fold from 1e5 to 1e6, at most ${MOST_MEMORY_GROWTH}`,
      ),
    ];
  });
  const holds = verdicts.every(Boolean);
  saveRecord('plan', {
    title,
    unit: 'ns and bytes a tensor; bytes: growth of the highest resident size',
    holds,
    bars: { mostPlanMs: MOST_PLAN_MS, mostGrowth: MOST_GROWTH, mostMemoryGrowth: MOST_MEMORY_GROWTH },
    loadAverageBefore,
    rows,
    cases,
    caveats: [
      'a process of its own for every run: memory is fresh, so page faults are in the times',
      'plan ns: make_plan as startTransfer runs it on a native thread; start ns: what startTransfer itself takes of the JavaScript thread',
    ],
  });
  return holds;
}

/** What a process tells, a tensor, and its heading. */
const columns = [
  { of: 'planNs', heading: 'plan ns (lowest - highest)' },
  { of: 'planBytes', heading: 'plan bytes' },
  { of: 'catalogNs', heading: 'catalog ns' },
  { of: 'layoutNs', heading: 'layout ns' },
  { of: 'columnsNs', heading: 'columns ns' },
  { of: 'startNs', heading: 'start ns' },
];

function summarized({ order, count, runs }) {
  const spread = (values) => ({ lowest: Math.min(...values), median: median(values), highest: Math.max(...values) });
  const figures = columns.map(({ of }) => [of, spread(runs.map((run) => run[of]))]);
  return { order, count, reads: runs[0].reads, ...Object.fromEntries(figures) };
}

function cells(row) {
  const figures = columns.map(({ of }, index) => {
    const { lowest, median: middle, highest } = row[of];
    return index === 0 ? `${middle.toFixed(0)} (${lowest.toFixed(0)} - ${highest.toFixed(0)})` : middle.toFixed(0);
  });
  return [`${row.count}`, row.order, ...figures, `${row.reads}`];
}

// What one client of a metadata server feels while another one attacks it: its p99 beside that of a quiet server.
import { run } from '../testing/shell.mjs';
import { judged, loadBefore, saveRecord } from './record.mjs';
import { median, table } from './statistics.mjs';

export const title = 'p99 of a well-behaved client of a metadata server under 24 attacks, beside a quiet server';

/** Of each attack, one after the other; the server is the same. */
const ROUNDS = 5;

/** p99 under attack over p99 in quiet, by the medians. */
const MOST_RATIO = 2;

/** @returns {Promise<boolean>} whether every attack stays within {@link MOST_RATIO} */
export async function measure() {
  const load = loadBefore();
  // The attackers are those of the tests.
  if (!(await run(['node_modules/.bin/tsc', '-b', 'test']))) throw new Error('the tests do not compile');
  const cleanups = [];
  const cleanup = { after: (work) => cleanups.push(work) };
  try {
    return report(await attackAll(cleanup), load);
  } finally {
    for (const work of cleanups.toReversed()) await work();
  }
}

async function attackAll(cleanup) {
  const compiled = '../../build/test/integration/rpc';
  const [{ attackOf, plainAttacks, securedAttacks }, { makeSecureSide }, { startArena, underAttack }] = await Promise.all(
    ['attack-cases.js', 'secure-side.js', 'under-attack.js'].map((file) => import(`${compiled}/${file}`)),
  );
  const results = [];
  for (const [attacks, secure] of [
    [plainAttacks, undefined],
    [securedAttacks, await makeSecureSide(cleanup)],
  ]) {
    const arena = await startArena(cleanup, secure);
    for (const [kind, what] of attacks) {
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) {
        const { quiet, control, during } = await underAttack(cleanup, arena, attackOf(kind, arena));
        rounds.push({ quiet: quiet.p99, control: control.p99, during: during.p99, calls: during.count, failed: during.failed.length });
      }
      results.push({ kind, what, rounds });
    }
  }
  return results;
}

function report(results, loadAverageBefore) {
  const rows = [['attack', 'quiet ms', 'control ms', 'under attack ms', 'least', 'most', 'to quiet', 'to control']];
  const attacks = results.map((result) => {
    const of = (column) => result.rounds.map((round) => round[column]);
    const [quiet, control, during] = ['quiet', 'control', 'during'].map((column) => median(of(column)));
    const extremes = [Math.min(...of('during')), Math.max(...of('during'))];
    const ratios = { quiet: during / quiet, control: during / control };
    rows.push([result.what, ...[quiet, control, during, ...extremes, ratios.quiet, ratios.control].map((value) => value.toFixed(1))]);
    return { ...result, quiet, control, during, ratios, holds: ratios.quiet <= MOST_RATIO };
  });
  console.log(`\np99, medians of ${ROUNDS} rounds\n\n${table(rows)}\n`);
  const held = attacks.filter(({ holds }) => holds).length;
  const holds = held === attacks.length;
  judged(holds, `at most ${MOST_RATIO} times quiet is asked for, which ${held} of ${attacks.length} keep`);
  saveRecord('attacks', { title, unit: 'ms', mostRatio: MOST_RATIO, holds, loadAverageBefore, results: attacks });
  return holds;
}

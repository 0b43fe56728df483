// What one client of a metadata server feels while another one attacks it: its p99 beside that of a quiet server.
import { run } from '../testing/shell.mjs';
import { judged, loadBefore, saveRecord } from './record.mjs';
import { table } from './statistics.mjs';

export const title = 'p99 of a well-behaved client of a metadata server under 24 attacks, beside a quiet server';

/** Of each attack, one after the other; the server is the same. */
const ROUNDS = 5;
/** Of quiet, and of each attack. */
const SECONDS = 1;
/** Of the worker that the well-behaved client asks for. */
const TENSORS = 2000;

/** p99 under attack over p99 in quiet, of all rounds together. */
const MOST_RATIO = 2;

/**
 * @param {string} [only] which attacks, by their names in attack-cases.ts with commas between; default: all
 * @returns {Promise<boolean>} whether every attack stays within {@link MOST_RATIO}
 */
export async function measure(only) {
  const kinds = only?.split(',') ?? [];
  const load = loadBefore();
  // The attackers are those of the tests.
  if (!(await run(['node_modules/.bin/tsc', '-b', 'test']))) throw new Error('the tests do not compile');
  const cleanups = [];
  const cleanup = { after: (work) => cleanups.push(work) };
  try {
    return report(await attackAll(cleanup, kinds), load);
  } finally {
    for (const work of cleanups.toReversed()) await work();
  }
}

async function attackAll(cleanup, kinds) {
  const compiled = '../../build/test/integration/rpc';
  const [{ attackOf, plainAttacks, securedAttacks }, { makeSecureSide }, { latency, startArena, underAttack }] = await Promise.all(
    ['attack-cases.js', 'secure-side.js', 'under-attack.js'].map((file) => import(`${compiled}/${file}`)),
  );
  const results = [];
  for (const [attacks, secure] of [
    [plainAttacks, undefined],
    [securedAttacks, await makeSecureSide(cleanup)],
  ]) {
    const arena = await startArena(cleanup, { secure, tensorCount: TENSORS });
    for (const [kind, what] of attacks.filter(([kind]) => kinds.length === 0 || kinds.includes(kind))) {
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) {
        rounds.push(await underAttack(cleanup, arena, attackOf(kind, arena, SECONDS)));
      }
      results.push({ kind, what, ...figures(rounds, latency) });
    }
  }
  return results;
}

/** Of one attack: all its rounds together, and each by itself. */
function figures(rounds, latency) {
  const pooled = (column) => {
    const all = (of) => rounds.flatMap((round) => round[column][of]);
    const { p50, p99, times } = latency(all('times'), []);
    return { p50, p99, count: times.length, heartbeat: latency(all('heartbeats'), []).p99 };
  };
  const [quiet, control, during] = ['quiet', 'control', 'during'].map(pooled);
  const each = rounds.map(({ quiet, control, during }) => ({ quiet: quiet.p99, control: control.p99, during: during.p99 }));
  const failed = rounds.flatMap((round) => round.during.failed);
  return { quiet, control, during, rounds: each, failed, ratios: { quiet: during.p99 / quiet.p99, control: during.p99 / control.p99 } };
}

function report(results, loadAverageBefore) {
  const heads = [
    'attack',
    'quiet ms',
    'control ms',
    'under attack ms',
    'least',
    'most',
    'p50 quiet',
    'p50 under attack',
    'to quiet',
    'to control',
  ];
  const attacks = results.map((result) => ({ ...result, holds: result.failed.length === 0 && result.ratios.quiet <= MOST_RATIO }));
  const rows = attacks.map(({ what, quiet, control, during, rounds, ratios }) => {
    const each = rounds.map((round) => round.during);
    const values = [
      quiet.p99,
      control.p99,
      during.p99,
      Math.min(...each),
      Math.max(...each),
      quiet.p50,
      during.p50,
      ratios.quiet,
      ratios.control,
    ];
    return [what, ...values.map((value) => value.toFixed(1))];
  });
  console.log(
    `\np99 of ${ROUNDS} times ${SECONDS} s together: list, get and heartbeat in a row; and the heartbeat alone, which is not judged\n\n${table([heads, ...rows])}\n`,
  );
  const held = attacks.filter(({ holds }) => holds).length;
  const holds = held === attacks.length;
  judged(holds, `at most ${MOST_RATIO} times quiet is asked for, which ${held} of ${attacks.length} keep`);
  saveRecord('attacks', { title, unit: 'ms', mostRatio: MOST_RATIO, holds, loadAverageBefore, results: attacks });
  return holds;
}

// What a stage came to: numbers of test cases, as the test runners themselves counted them.

/** @typedef {{ passed: number, failed: number, skipped: number, failures?: string[] }} Counts `failures`: what failed, where it is known by name */

/** @returns {Counts} */
export function none() {
  return { passed: 0, failed: 0, skipped: 0 };
}

/** @param {Counts[]} list @returns {Counts} */
export function sum(...list) {
  return list.reduce(
    (a, b) => ({
      passed: a.passed + b.passed,
      failed: a.failed + b.failed,
      skipped: a.skipped + b.skipped,
      failures: [...(a.failures ?? []), ...(b.failures ?? [])],
    }),
    none(),
  );
}

/** @param {Counts} counts */
export function describe(counts) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

/**
 * The counts of a runner that exited with `ok`: one that broke without naming a failed case, or that ran nothing at all,
 * is itself a failure.
 * @param {Counts | undefined} counts undefined when the runner left none
 * @param {boolean} ok
 * @param {string} runner its name, for what is printed
 * @returns {Counts}
 */
export function checked(counts, ok, runner) {
  const known = counts ?? none();
  const ran = known.passed + known.failed + known.skipped;
  if (known.failed > 0 || (ok && ran > 0)) return known;
  console.log(ok ? `${runner} ran no test` : `${runner} failed without naming a failed test`);
  return { ...known, failed: 1 };
}

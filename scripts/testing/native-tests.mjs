// The GoogleTest cases of native/, built with the address and undefined behaviour sanitizers. Those that find no RDMA
// device here run again inside the Soft-RoCE machine, and only the second result counts.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { checked } from './counts.mjs';
import { root, run } from './shell.mjs';

/** Compilers at once: each takes up to 1 GiB with the sanitizers. */
const JOBS = '2';

const build = path.join(root, 'build/native-asan');
const ctest = ['ctest', '--test-dir', build, '--no-tests=error', '--output-on-failure'];
const sanitizers = { UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' };

/** @typedef {'passed' | 'failed' | 'skipped'} Outcome */

/** @returns {Promise<import('./counts.mjs').Counts>} */
export async function runNativeTests() {
  const type = ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DWEIGHTCAST_SANITIZE=address'];
  const compiled =
    (await run(['cmake', '-S', 'native', '-B', build, '-G', 'Ninja', ...type])) &&
    (await run(['cmake', '--build', build, '--parallel', JOBS]));
  if (!compiled) return checked(undefined, false, 'the native build');

  const report = path.join(build, 'junit.xml');
  rmSync(report, { force: true });
  let ok = await run([...ctest, '--output-junit', report], sanitizers);
  const outcomes = outcomesOf(report);
  const again = [...outcomes].filter(([, outcome]) => outcome === 'skipped').map(([name]) => name);
  for (const hosts of /** @type {const} */ ([1, 2])) {
    const names = again.filter((name) => hostsOf(name) === hosts);
    if (names.length === 0) continue;
    console.log(`${names.length} cases were skipped here; running their suites with real verbs, hosts: ${hosts}`);
    const second = await runInMachine(names, hosts);
    ok &&= second.ok;
    for (const name of names) outcomes.set(name, second.outcome(name));
  }
  return checked(tally(outcomes), ok, 'ctest');
}

/** How many machines a case needs: a suite whose name ends with TwoHosts runs on both of two, at the same time. */
function hostsOf(name) {
  return suiteOf(name).endsWith('TwoHosts') ? 2 : 1;
}

function suiteOf(name) {
  return name.split('.')[0];
}

/**
 * @param {string[]} names cases
 * @param {1 | 2} hosts
 * @returns {Promise<{ ok: boolean, outcome: (name: string) => Outcome }>} a case is what it was on its worst host
 */
async function runInMachine(names, hosts) {
  const out = path.join(root, 'build/results', `native-${hosts}`);
  rmSync(out, { recursive: true, force: true });
  // Whole suites: a list of all the names would be longer than ctest's expressions may be.
  const suites = [...new Set(names.map(suiteOf))];
  const quoted = [...ctest, '-R', `^(${suites.join('|')})[.]`].map((word) => `'${word}'`).join(' ');
  const ok = await run([
    ...['scripts/softroce-vm', '--hosts', `${hosts}`, '--rails', '2', '--memory', '4096', '--timeout', '1500', '--out', out],
    ...Object.entries(sanitizers).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...['--', 'bash', '-c', `${quoted} --output-junit "$RDMA_OUT/junit$HOST_INDEX.xml"`],
  ]);
  const reports = hosts === 1 ? ['junit0.xml'] : ['junit0.xml', 'junit1.xml'];
  const results = reports.map((report) => outcomesOf(path.join(out, report)));
  /** @type {(name: string) => Outcome} */
  const outcome = (name) => {
    const all = results.map((result) => result.get(name) ?? 'skipped');
    return /** @type {const} */ (['failed', 'skipped']).find((worst) => all.includes(worst)) ?? 'passed';
  };
  return { ok, outcome };
}

/**
 * Reads ctest's JUnit report: every GoogleTest case is a test case of its own there.
 * @param {string} report a file; absent when ctest did not get that far
 * @returns {Map<string, Outcome>}
 */
function outcomesOf(report) {
  /** @type {Map<string, Outcome>} */
  const outcomes = new Map();
  if (!existsSync(report)) return outcomes;
  for (const [, name, attributes, content] of readFileSync(report, 'utf8').matchAll(
    /<testcase name="([^"]*)"([^>]*)>(.*?)<\/testcase>/gs,
  )) {
    const status = /\bstatus="(\w+)"/.exec(attributes)?.[1];
    // GTEST_SKIP matches a test property that GoogleTest's CMake module sets. Any other `notrun` could not be started,
    // which is a failure and not a choice.
    const skipped = status === 'disabled' || content.includes('<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"');
    outcomes.set(name, skipped ? 'skipped' : status === 'run' ? 'passed' : 'failed');
  }
  return outcomes;
}

/** @param {Map<string, Outcome>} outcomes */
function tally(outcomes) {
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const [name, outcome] of outcomes) {
    counts[outcome] += 1;
    if (outcome === 'failed') counts.failures.push(name);
  }
  return counts;
}

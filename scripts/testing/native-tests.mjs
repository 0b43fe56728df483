// The GoogleTest cases of native/, built with the address and undefined behaviour sanitizers.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { checked } from './counts.mjs';
import { root, run } from './shell.mjs';

/** Compilers at once: each takes up to 1 GiB with the sanitizers. */
const JOBS = '2';

/** @returns {Promise<import('./counts.mjs').Counts>} */
export async function runNativeTests() {
  const build = path.join(root, 'build/native-asan');
  const report = path.join(build, 'junit.xml');
  const configure = [
    'cmake',
    '-S',
    'native',
    '-B',
    build,
    '-G',
    'Ninja',
    '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
    '-DWEIGHTCAST_SANITIZE=address',
  ];
  if (!(await run(configure)) || !(await run(['cmake', '--build', build, '--parallel', JOBS]))) {
    return checked(undefined, false, 'the native build');
  }
  rmSync(report, { force: true });
  const ok = await run(
    ['ctest', '--test-dir', build, '--no-tests=error', '--output-on-failure', '--timeout', '300', '--output-junit', report],
    { UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' },
  );
  return checked(existsSync(report) ? junitCounts(readFileSync(report, 'utf8')) : undefined, ok, 'ctest');
}

/**
 * Reads ctest's JUnit report: every GoogleTest case is a test case of its own there.
 * @param {string} xml
 * @returns {import('./counts.mjs').Counts}
 */
export function junitCounts(xml) {
  const suite = /<testsuite\b[^>]*>/.exec(xml)?.[0] ?? '';
  const number = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const skipped = number('skipped') + number('disabled');
  const failed = number('failures') + number('errors');
  return { passed: number('tests') - failed - skipped, failed, skipped };
}

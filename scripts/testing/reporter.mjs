// A node:test reporter: one line a file, failures and skips in full, and the counts as JSON in the file that
// WEIGHTCAST_TEST_COUNTS names. Counts are of test cases; suites and the files themselves are not cases.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';

const FILE_LEVEL = 0;
/** The runner's own totals, which come as diagnostics too. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** @param {AsyncIterable<{ type: string, data: any }>} events */
export default async function* report(events) {
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const names = []; // of the tests and suites around the current one, by nesting
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      names.length = data.nesting;
      names[data.nesting] = data.name;
    } else if (type === 'test:pass' || type === 'test:fail') {
      names.length = data.nesting;
      yield* ended(type === 'test:pass', data, names, counts);
    } else if (type === 'test:diagnostic' && !SUMMARY.test(data.message)) {
      yield `  ${data.message}\n`;
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message;
    }
  }
  const target = process.env.WEIGHTCAST_TEST_COUNTS;
  if (target !== undefined) writeFileSync(target, JSON.stringify(counts));
}

function* ended(passed, data, names, counts) {
  const title = [...names, data.name].join(' › ');
  const where = data.file === undefined ? '' : `${path.relative(process.cwd(), data.file)}: `;
  // A suite fails with its tests, which were counted; one that fails by itself (a hook, its own body) is a failure of its own.
  const ownFailure = data.details.error?.failureType !== 'subtestsFailed';
  if (data.details.type === 'suite' && (passed || !ownFailure)) return;
  // A file without any test case is reported as one passed test of its own name: a test that cannot fail.
  const emptyFile = passed && data.nesting === FILE_LEVEL && data.file !== undefined && path.resolve(data.name) === data.file;
  if (data.skip !== undefined || data.todo !== undefined) {
    counts.skipped += 1;
    const reason = data.skip ?? data.todo;
    yield `- skipped ${where}${title}${typeof reason === 'string' ? `: ${reason}` : ''}\n`;
  } else if (emptyFile) {
    yield failed(`${where}holds no test`, counts);
  } else if (passed) {
    counts.passed += 1;
    yield `✓ ${where}${title} (${data.details.duration_ms.toFixed(0)} ms)\n`;
  } else if (ownFailure) {
    yield `${failed(`${where}${title}`, counts)}${indent(explain(data.details.error))}\n`;
  }
}

function failed(what, counts) {
  counts.failed += 1;
  counts.failures.push(what);
  return `✗ ${what}\n`;
}

/** What the test threw, without the runner's own stack frames; for a file that crashed, how it ended. */
function explain(error) {
  const cause = error?.cause ?? error;
  if (!(cause instanceof Error)) {
    const ending = error?.signal ? ` by ${error.signal}` : error?.exitCode ? ` with exit status ${error.exitCode}` : '';
    return `${typeof cause === 'string' ? cause : inspect(cause)}${ending}`;
  }
  return inspect(cause, { colors: false, depth: 6 })
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:internal/.test(line))
    .join('\n');
}

function indent(text) {
  return text.replace(/^/gm, '    ');
}

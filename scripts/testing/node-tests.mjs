// node:test stages: which compiled files belong to one, and how a file list is run and counted.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { checked, sum } from './counts.mjs';
import { root, run, sources } from './shell.mjs';

/**
 * The compiled test files of a folder. Listed from the sources: build/ may still hold tests whose source is gone, and
 * Node 20's --test takes no patterns.
 * @param {string} folder for example `test/unit`
 * @returns {string[]} for example `build/test/unit/model/dtypes.test.js`
 */
export function compiledTests(folder) {
  return sources(`${folder}/*.test.ts`).map((file) => path.join('build', file.replace(/\.ts$/, '.js')));
}

/**
 * The command that runs these files.
 * @param {string[]} files
 * @param {{ concurrency: number, timeoutMs: number }} options files at once; the most that one file may take
 */
export function nodeTestCommand(files, { concurrency, timeoutMs }) {
  const reporter = path.join(root, 'scripts/testing/reporter.mjs');
  return [
    process.execPath,
    '--enable-source-maps',
    '--test',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${timeoutMs}`,
    `--test-reporter=${reporter}`,
    '--test-reporter-destination=stdout',
    ...files,
  ];
}

/** @returns {import('./counts.mjs').Counts | undefined} what the reporter wrote; undefined when it did not get that far */
export function readCounts(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** What tests find in their environment, where `scripts/setup test` could make it. */
export function testEnvironment() {
  const python = path.join(root, 'build/venv/bin/python');
  return existsSync(python) ? { WEIGHTCAST_PYTHON: python } : {};
}

/**
 * Runs all tests of a folder on this computer.
 * @param {string} folder
 * @param {{ concurrency: number, timeoutMs: number, alone?: readonly string[] }} options `alone`: sources, below the folder,
 *   that measure what others would disturb; each runs by itself, after the others
 */
export async function runNodeTests(folder, { alone = [], ...options }) {
  const apart = alone.map((file) => path.join('build', folder, file.replace(/\.ts$/, '.js')));
  const files = compiledTests(folder);
  const missing = apart.filter((file) => !files.includes(file));
  if (missing.length > 0) return checked(undefined, false, `${missing.join(', ')}, named in scripts/testing/stages.mjs but not there,`);
  return sum(
    await runFiles(folder, without(files, apart), options),
    ...(apart.length > 0 ? [await runFiles(`${folder}, alone`, apart, { ...options, concurrency: 1 })] : []),
  );
}

function without(files, others) {
  return files.filter((file) => !others.includes(file));
}

/** @returns {Promise<import('./counts.mjs').Counts>} */
async function runFiles(name, files, options) {
  const counts = path.join(root, 'build/results', `${name.replaceAll(/[^\w]+/g, '-')}.json`);
  mkdirSync(path.dirname(counts), { recursive: true });
  rmSync(counts, { force: true });
  if (files.length === 0) return checked(undefined, true, name);
  const ok = await run(nodeTestCommand(files, options), { ...testEnvironment(), WEIGHTCAST_TEST_COUNTS: counts });
  return checked(readCounts(counts), ok, name);
}

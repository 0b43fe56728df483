// node:test stages: which compiled files belong to one, and how a file list is run and counted.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { checked } from './counts.mjs';
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

/** Runs all tests of a folder on this computer. */
export async function runNodeTests(folder, options) {
  const counts = path.join(root, 'build/results', `${folder.replaceAll('/', '-')}.json`);
  mkdirSync(path.dirname(counts), { recursive: true });
  rmSync(counts, { force: true });
  const files = compiledTests(folder);
  if (files.length === 0) return checked(undefined, true, folder);
  const ok = await run(nodeTestCommand(files, options), { ...testEnvironment(), WEIGHTCAST_TEST_COUNTS: counts });
  return checked(readCounts(counts), ok, folder);
}

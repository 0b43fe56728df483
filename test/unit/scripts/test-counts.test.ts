/** The counts that `npm test` ends with: what the reporter makes of passing, failing, skipped and broken test files. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const reporter = resolve('scripts/testing/reporter.mjs');
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weightcast-counts-'));
});

after(async () => {
  await rm(folder, { recursive: true });
});

interface Counted {
  readonly counts: { passed: number; failed: number; skipped: number };
  /** Failed cases, without the files' names. */
  readonly failures: string[];
  readonly output: string;
}

async function counted(name: string, source: string): Promise<Counted> {
  const file = join(folder, `${name}.test.mjs`);
  const countsFile = join(folder, `${name}.json`);
  await writeFile(file, source);
  // Inside a test run, node --test would report to that run instead of starting its own.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = spawnSync(process.execPath, ['--test', `--test-reporter=${reporter}`, '--test-reporter-destination=stdout', file], {
    encoding: 'utf8',
    env: { ...env, WEIGHTCAST_TEST_COUNTS: countsFile },
  });
  const { failures, ...counts } = JSON.parse(await readFile(countsFile, 'utf8')) as Counted['counts'] & Pick<Counted, 'failures'>;
  return { counts, failures: failures.map((failure) => failure.replace(/^.*?: /, '')), output: stdout };
}

const imports = `import { before, describe, it, test } from 'node:test';\n`;

test('cases are counted, suites and parents of failed cases are not', async () => {
  const { counts, failures, output } = await counted(
    'cases',
    `${imports}
    test('fine', () => {});
    test('skipped', { skip: 'no cable' }, () => {});
    describe('suite', () => {
      it('inner', () => {});
      it('broken', () => { throw new Error('in the suite'); });
    });
    test('parent', async (t) => { await t.test('child', () => { throw new Error('in the child'); }); });`,
  );
  assert.deepEqual(counts, { passed: 2, failed: 2, skipped: 1 });
  assert.deepEqual(failures, ['suite › broken', 'parent › child']);
  assert.match(output, /skipped: no cable/);
  assert.match(output, /suite › broken\n[^]*in the suite/);
  assert.match(output, /parent › child\n[^]*in the child/);
});

test('a suite whose hook or body throws is a failure', async () => {
  const { counts } = await counted(
    'hooks',
    `${imports}
    describe('hook', () => { before(() => { throw new Error('hook'); }); it('never runs', () => {}); });
    describe('body', () => { throw new Error('body'); });`,
  );
  assert.equal(counts.passed, 0);
  assert.ok(counts.failed >= 2, JSON.stringify(counts));
});

test('a file without a test is a failure', async () => {
  const { counts, failures } = await counted('empty', '');
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(failures, ['holds no test']);
});

test('a file that crashes is a failure that says how', async () => {
  const { counts, output } = await counted('crash', `process.kill(process.pid, 'SIGSEGV');`);
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(output, /SIGSEGV/);
});

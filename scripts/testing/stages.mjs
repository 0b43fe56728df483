// The stages of `npm test`, in order. A stage either counts test cases or only holds or fails.
import { runNativeTests } from './native-tests.mjs';
import { runNodeTests } from './node-tests.mjs';
import { root, run, sources } from './shell.mjs';
import { runSoftroceTests } from './softroce-tests.mjs';

/**
 * @typedef {object} Stage
 * @property {string} name what `scripts/test NAME` runs
 * @property {string} title
 * @property {boolean} [needsBuild] runs compiled TypeScript and the addon: worthless after a failed build
 * @property {() => Promise<boolean>} [holds] for a stage without test cases
 * @property {() => Promise<import('./counts.mjs').Counts>} [counts]
 */

/**
 * Integration tests that run by themselves: their attackers get only what nobody else wants of the processors, and are waited for.
 * The others wait for most of their time, so two files run at once.
 */
const undisturbed = ['rpc/attacks.test.ts'];

/** @type {readonly Stage[]} */
export const stages = [
  { name: 'generated', title: 'generated code matches proto/', holds: () => run(['scripts/generate', '--check']) },
  { name: 'lint', title: 'lint and format', holds: lint },
  { name: 'build', title: 'type check and build', holds: build },
  { name: 'native', title: 'native code, with sanitizers', counts: runNativeTests },
  {
    name: 'unit',
    title: 'units',
    needsBuild: true,
    counts: () => runNodeTests('test/unit', { concurrency: 2, timeoutMs: 120_000 }),
  },
  {
    name: 'integration',
    title: 'processes on this computer, over TCP',
    needsBuild: true,
    counts: () => runNodeTests('test/integration', { concurrency: 2, timeoutMs: 600_000, alone: undisturbed }),
  },
  {
    name: 'softroce-one-host',
    title: 'real verbs: one host, two rails',
    needsBuild: true,
    counts: () => runSoftroceTests('test/softroce/one-host', { hosts: 1, rails: 2, memory: 6144, nodes: 2, timeoutS: 2400 }),
  },
  {
    name: 'softroce-two-hosts',
    title: 'real verbs: two hosts',
    needsBuild: true,
    counts: () => runSoftroceTests('test/softroce/two-hosts', { hosts: 2, rails: 2, memory: 4096, nodes: 1, timeoutS: 2400 }),
  },
];

/** All linters run, so that one round of corrections is enough. */
async function lint() {
  const cxx = sources('native/*.cc', 'native/*.h', 'test/native/*.cc', 'test/native/*.h', 'test/standin/*.cc', 'test/standin/*.h');
  const results = [
    await run(['node_modules/.bin/eslint', '--max-warnings=0', '.']),
    await run(['node_modules/.bin/prettier', '--check', '--log-level=warn', '.']),
    await run(['clang-format-19', '--dry-run', '-Werror', ...cxx]),
  ];
  return results.every(Boolean);
}

/** The tests' project refers to the package's: this type-checks and compiles both. The scripts import what that compiled. */
async function build() {
  const results = [
    await run([`${root}/scripts/build-native`]),
    await run([`${root}/scripts/build-standins`]),
    await run(['node_modules/.bin/tsc', '-b', 'test']),
    await run(['node_modules/.bin/tsc', '-p', 'scripts/tsconfig.json']),
  ];
  return results.every(Boolean);
}

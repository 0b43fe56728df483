// The tests that need real verbs: all of a folder inside one boot of the Soft-RoCE machine, or of two joined ones.
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { checked, sum } from './counts.mjs';
import { compiledTests, nodeTestCommand, readCounts, testEnvironment } from './node-tests.mjs';
import { root, run } from './shell.mjs';

/**
 * Which host runs a file: `x.host0.test.js` host 0 only, `x.host1.test.js` host 1 only, any other both.
 * @param {string[]} files @param {number} host
 */
function ofHost(files, host) {
  return files.filter((file) => {
    const only = /\.host(\d)\.test\.js$/.exec(file);
    return only === null || Number(only[1]) === host;
  });
}

/**
 * @param {string} folder for example `test/softroce/two-hosts`
 * @param {{ hosts: 1 | 2, rails: number, memory: number, nodes: number, timeoutS: number }} machine
 */
export async function runSoftroceTests(folder, machine) {
  // The models that the tests move are made out here, where the processor is not emulated; nothing to do the second time.
  if (!(await run([process.execPath, 'build/test/support/fixtures.js'], testEnvironment()))) return checked(undefined, false, folder);
  const out = path.join(root, 'build/results', folder.replaceAll('/', '-'));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const files = compiledTests(folder);
  const indexes = machine.hosts === 1 ? [0] : [0, 1];
  // Emulated processors are slow, and the hosts meet at names: one file after the other, in the same order on both.
  const options = { concurrency: 1, timeoutMs: machine.timeoutS * 1000 };
  const scripts = indexes.map((host) => {
    const own = ofHost(files, host);
    if (own.length === 0) return undefined;
    return `WEIGHTCAST_TEST_COUNTS=$RDMA_OUT/counts${host}.json ${nodeTestCommand(own, options).map(quoted).join(' ')}`;
  });
  if (scripts.includes(undefined)) return checked(undefined, true, folder);
  const script = scripts.map((line, host) => `if [ "$HOST_INDEX" = ${host} ]; then ${line}; exit; fi`).join('\n');
  const { hosts, rails, memory, nodes, timeoutS } = machine;
  const flags = { hosts, rails, memory, nodes, timeout: timeoutS, out };
  const ok = await run(
    ['scripts/softroce-vm', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]), '--', 'bash', '-c', script],
    testEnvironment(),
  );
  const counts = indexes.map((host) => readCounts(path.join(out, `counts${host}.json`)));
  const complete = !counts.includes(undefined);
  return checked(sum(...counts.filter((entry) => entry !== undefined)), ok && complete, folder);
}

/** As one word of a shell's command. */
function quoted(word) {
  const inside = word.replaceAll("'", "'\\''");
  return `'${inside}'`;
}

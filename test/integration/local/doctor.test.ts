/** What `doctor` finds out about reading without a wire, with a real process on the other side. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkLocal } from '#src/cli/doctor/local-check.js';
import type { ReadByTarget } from '#src/cli/doctor/local-target.js';
import { native } from '#src/native.js';

const program = fileURLToPath(import.meta.resolve('#src/cli/doctor/local-target.js'));
const ofAnotherNamespace = ['unshare', '--pid', '--fork'];
const ofAnotherUser = ['setpriv', '--reuid', '65534', '--clear-groups'];

/** Whether this machine lets the program be started so: a chroot may have no namespaces, a checkout be its owner's alone. */
function startsBy(prefix: readonly string[]): boolean {
  return process.getuid?.() === 0 && spawnSync('env', [...prefix, process.execPath, '--check', program]).status === 0;
}

/** The target, started by another command. */
function under(...prefix: readonly string[]): (name: string, token: string) => Promise<ReadByTarget> {
  return async (name, token) => {
    const { stdout } = await promisify(execFile)('env', [...prefix, process.execPath, program, name, token]);
    return JSON.parse(stdout) as ReadByTarget;
  };
}

test('another process of this user reads both', async () => {
  const { descriptors, memory } = await checkLocal(native());
  assert.deepEqual([descriptors, memory], ['', '']);
});

test('one of another process namespace reads what descriptors bring only', { skip: !startsBy(ofAnotherNamespace) }, async () => {
  const { descriptors, memory } = await checkLocal(native(), under(...ofAnotherNamespace));
  assert.equal(descriptors, '');
  assert.match(memory, /share the process namespace/);
});

test('one of another user reads nothing', { skip: !startsBy(ofAnotherUser) }, async () => {
  const { descriptors, memory } = await checkLocal(native(), under(...ofAnotherUser));
  assert.match(descriptors, /own user/);
  assert.match(memory, /own user/);
});

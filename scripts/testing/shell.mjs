// Running commands for the stages: what they print is shown as it comes, and their exit status is an answer, not an error.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * Runs a command in the checkout.
 * @param {string[]} command
 * @param {Record<string, string>} [env] on top of this process's own
 * @returns {Promise<boolean>} whether it exited with 0; a signal or a missing command counts as failed and is said
 */
export function run(command, env = {}) {
  const [file, ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
    child.on('error', (error) => {
      console.log(`${file}: ${error.message}`);
      resolve(false);
    });
    child.on('close', (code, signal) => {
      if (signal !== null) console.log(`${file}: ended by ${signal}`);
      resolve(code === 0);
    });
  });
}

/**
 * Files of the checkout that git would commit, tracked or new, and that are there.
 * @param {string[]} patterns git pathspecs, for example `native/*.cc`
 * @returns {string[]} relative to the checkout, sorted
 */
export function sources(...patterns) {
  const listing = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...patterns], {
    cwd: root,
    encoding: 'utf8',
  });
  if (listing.status !== 0) throw new Error(`git ls-files failed: ${listing.stderr}`);
  return [...new Set(listing.stdout.split('\0'))].filter((name) => name !== '' && existsSync(path.join(root, name))).sort();
}

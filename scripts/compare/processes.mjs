// Starting, awaiting and ending the processes that a comparison measures.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs a command to its end.
 * @param {readonly string[]} command
 * @returns {Promise<string>} its standard output; throws with everything that it printed when it fails
 */
export async function finished(command) {
  const child = start(command);
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command.join(' ')}: ended with ${code ?? signal}\n${child.said.out}${child.said.err}`);
  return child.said.out;
}

/**
 * Starts a command whose output is collected in `said`.
 * @param {readonly string[]} command
 */
export function start([file, ...args]) {
  const said = { out: '', err: '' };
  const child = Object.assign(spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] }), { said });
  child.stdout.setEncoding('utf8').on('data', (text) => (child.said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (child.said.err += text));
  return child;
}

/**
 * Starts a command that runs until it is told to stop, and waits for its `{"event":"ready"}` line.
 * @returns {Promise<{ ready: Record<string, any>, stop: () => Promise<void> }>}
 */
export async function service(command) {
  const child = start(command);
  const exited = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line);
    if (event.event !== 'ready') continue;
    const stop = async () => {
      child.kill('SIGTERM');
      await exited;
    };
    return { ready: event, stop };
  }
  await exited;
  throw new Error(`${command.join(' ')}: ended before it was ready\n${child.said.err}`);
}

/** Waits until something on this machine listens on a TCP port. */
export async function listening(port, timeoutMs) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  const isListening = (line) => line.includes(wanted) && / 0A /.test(line);
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8')));
    if (tables.some((text) => text.split('\n').some(isListening))) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms`);
}

/** One line of a command that tells a version; 'unknown' when it cannot. */
export function versionOf(file, ...args) {
  const { stdout } = spawnSync(file, args, { encoding: 'utf8' });
  return stdout?.trim().split('\n')[0] || 'unknown';
}

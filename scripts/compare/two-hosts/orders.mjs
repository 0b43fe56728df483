// What host 0 of two machines asks host 1 to do while it measures: a file each way in a folder that both see.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const folder = process.env.RDMA_SHARED;
const PATIENCE_MS = 120_000;

let sent = 0;

/**
 * Host 0: has host 1 carry out one order, and waits for its answer.
 * @param {string} kind one of those that the other host's {@link obey} knows
 * @returns {Promise<any>} what the other host's function returned; throws with its message when it threw
 */
export async function order(kind, ...args) {
  const number = (sent += 1);
  write(`order.${number}`, { kind, args });
  const answer = await read(`answer.${number}`, PATIENCE_MS);
  if (answer.error !== undefined) throw new Error(`the other host, on '${kind}': ${answer.error}`);
  return answer.value;
}

/**
 * Host 1: carries out what host 0 asks for, until that is 'end'.
 * @param {Record<string, (...args: any[]) => Promise<unknown>>} does
 */
export async function obey(does) {
  for (let number = 1; ; number += 1) {
    const { kind, args } = await read(`order.${number}`, 20 * PATIENCE_MS);
    try {
      write(`answer.${number}`, { value: kind === 'end' ? null : await does[kind](...args) });
    } catch (error) {
      write(`answer.${number}`, { error: `${error?.stack ?? error}` });
    }
    if (kind === 'end') return;
  }
}

/** Renamed into place, so that it is never seen half written. */
function write(name, value) {
  const file = path.join(folder, name);
  writeFileSync(`${file}.new`, JSON.stringify(value));
  renameSync(`${file}.new`, file);
}

async function read(name, patienceMs) {
  const file = path.join(folder, name);
  const deadline = performance.now() + patienceMs;
  while (!existsSync(file)) {
    if (performance.now() > deadline) throw new Error(`the other host sent no ${name} within ${patienceMs / 1000} s`);
    await sleep(50);
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

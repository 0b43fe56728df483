/** Leaks, on both sides: what is held before many transfers must be all that is held after them. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '../eventually.js';
import type { MooncakePeer } from './peer.js';

export type Held = Readonly<Record<string, number>>;

/** What a Mooncake process may grow by, in memory: a copy of one small tensor per transfer would show. */
const growthKiB = 32 * 2 ** 10;

/** What this process may: the heap breathes, but the destination of one pull is larger. */
const ownGrowthKiB = 80 * 2 ** 10;

setFlagsFromString('--expose-gc');
/** Buffers that nobody holds any more count until they are collected, which may be long: what one round compares is larger than {@link ownGrowthKiB}. */
const collectGarbage = runInNewContext('gc') as () => void;

/** Of the addon, for what may block: started at need up to a limit, and kept. */
const pooledThread = 'weightcast-job';

/**
 * Looks at what is held now. The function that it resolves to fails when more is held later; what is about to end is waited for.
 * @param mayGrow by how much, of each kind; default not at all.
 */
export async function takeStock(whose: string, ask: () => Promise<Held>, mayGrow: Held = {}): Promise<() => Promise<void>> {
  const before = await ask();
  return async () => {
    let now: Held = {};
    const settled = await eventually('end of what the transfers held', async () => {
      now = await ask();
      return Object.entries(now).every(([what, count]) => count <= (before[what] ?? 0) + (mayGrow[what] ?? 0)) ? true : undefined;
    }).catch(() => false);
    assert.ok(settled, `${whose}: ${JSON.stringify(before)} before, ${JSON.stringify(now)} after`);
  };
}

/** {@link takeStock} of threads, open files (sockets are files) and memory of this process, and of `also`. */
export function takeOwnStock(also: () => Held = () => ({})): Promise<() => Promise<void>> {
  return takeStock('ours', async () => ({ ...(await ownHeld()), ...also() }), { rssKiB: ownGrowthKiB });
}

/** {@link takeStock} of threads, open files and memory of a Mooncake process, and of `also`. */
export function takePeerStock(peer: MooncakePeer, also: () => Held = () => ({})): Promise<() => Promise<void>> {
  const ask = async (): Promise<Held> => {
    const { threads, files, rssKiB } = await peer.usage();
    return { threads, files, rssKiB, ...also() };
  };
  return takeStock(`of Mooncake ${peer.version}`, ask, { rssKiB: growthKiB });
}

/**
 * Runs `round` once to warm up and then `rounds` times, and fails when either side then holds more than after the warming up.
 * @param also what either side holds beside.
 */
export async function withoutLeaks(
  peer: MooncakePeer,
  rounds: number,
  round: (number: number) => Promise<void>,
  also: { readonly own?: () => Held; readonly peer?: () => Held } = {},
): Promise<void> {
  await round(0);
  const checks = [await takeOwnStock(also.own), await takePeerStock(peer, also.peer)];
  for (let number = 1; number <= rounds; number++) await round(number);
  for (const check of checks) await check();
}

async function ownHeld(): Promise<Held> {
  const tasks = await readdir('/proc/self/task');
  // A thread may end while it is looked at.
  const names = await Promise.all(tasks.map((task) => readFile(`/proc/self/task/${task}/comm`, 'utf8').catch(() => pooledThread)));
  collectGarbage();
  return {
    threads: names.filter((name) => name.trim() !== pooledThread).length,
    files: (await readdir('/proc/self/fd')).length,
    rssKiB: process.memoryUsage.rss() / 1024,
  };
}

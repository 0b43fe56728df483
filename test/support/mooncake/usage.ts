/** Leaks, on both sides: what is held before many transfers must be all that is held after them. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { eventually } from '../eventually.js';
import type { MooncakePeer } from './peer.js';

export type Held = Readonly<Record<string, number>>;

/** Mappings of at least so many bytes are counted: destinations of pulls are, what Node maps for itself comes and goes. */
const largeMapping = 64 * 2 ** 20;

/** What a Mooncake process may grow by, in memory: a copy of one small tensor per transfer would show. */
const growthKiB = 32 * 2 ** 10;

/** Threads, open files (sockets are files) and large mappings of this process. */
export async function ownHeld(): Promise<Held> {
  const status = await readFile('/proc/self/status', 'utf8');
  const maps = await readFile('/proc/self/maps', 'utf8');
  const large = maps.split('\n').filter((line) => {
    const [start = '0', end = '0'] = (line.split(' ')[0] ?? '').split('-');
    return line !== '' && BigInt(`0x${end}`) - BigInt(`0x${start}`) >= BigInt(largeMapping);
  });
  return {
    threads: Number(/^Threads:\s*(\d+)/m.exec(status)?.[1]),
    files: (await readdir('/proc/self/fd')).length,
    largeMappings: large.length,
  };
}

/** Threads, open files and memory of a Mooncake process. */
export async function peerHeld(peer: MooncakePeer): Promise<Held> {
  const { threads, files, rssKiB } = await peer.usage();
  return { threads, files, rssKiB: rssKiB - growthKiB };
}

/**
 * Runs `round` once to warm up and then `rounds` times, and fails when either side then holds more than after the warming up. Sockets and
 * threads that are about to end are waited for.
 * @param also what either side holds beside.
 */
export async function withoutLeaks(
  peer: MooncakePeer,
  rounds: number,
  round: (number: number) => Promise<void>,
  also: { readonly own?: () => Held; readonly peer?: () => Held } = {},
): Promise<void> {
  await round(0);
  const before = { own: { ...(await ownHeld()), ...also.own?.() }, peer: { ...(await warm(peer)), ...also.peer?.() } };
  for (let number = 1; number <= rounds; number++) await round(number);
  await fallsTo('ours', before.own, async () => ({ ...(await ownHeld()), ...also.own?.() }));
  await fallsTo(`of Mooncake ${peer.version}`, before.peer, async () => ({ ...(await peerHeld(peer)), ...also.peer?.() }));
}

async function warm(peer: MooncakePeer): Promise<Held> {
  const { threads, files, rssKiB } = await peer.usage();
  return { threads, files, rssKiB };
}

async function fallsTo(whose: string, before: Held, ask: () => Promise<Held>): Promise<void> {
  let now: Held = {};
  const settled = await eventually('end of what the transfers held', async () => {
    now = await ask();
    return Object.entries(now).every(([what, count]) => count <= (before[what] ?? 0)) ? true : undefined;
  }).catch(() => false);
  assert.ok(settled, `${whose}: ${JSON.stringify(before)} before, ${JSON.stringify(now)} after`);
}

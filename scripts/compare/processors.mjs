// Who uses the processors of this computer while something is measured.
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Quiet is less than this share of all processors for a second; after so many seconds there is no more waiting. */
const QUIET_SHARE = 0.05;
const PATIENCE_S = 20;

/** Seconds that all processors were busy since boot, or were not given to this computer; counted in ticks of 10 ms. */
export function busySeconds() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / 100;
}

/** Seconds that each thread of a process ran, of the scheduler's nanoseconds. */
export function cpuByThread(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ran = (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
  return new Map(threads.map((thread) => [thread, ran(thread)]));
}

/**
 * Seconds that ksoftirqd ran, of the scheduler's nanoseconds. The kernel does a NIC's packets, and all of Soft-RoCE's work, in whatever
 * process is running when they come; what takes longer it leaves to these threads, so that either may have the larger part.
 */
export function softirqSeconds() {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && commandOf(name).startsWith('ksoftirqd/'));
  return names.reduce((sum, pid) => sum + [...cpuByThread(pid).values()].reduce((a, b) => a + b, 0), 0);
}

/** A process may end meanwhile. */
function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until nothing uses the processors, or patience ends. */
export async function quiet() {
  for (let second = 0; second < PATIENCE_S; second += 1) {
    const before = busySeconds();
    await sleep(1000);
    if (busySeconds() - before < QUIET_SHARE * availableParallelism()) return;
  }
}

// What a pull costs besides the wire: verification, the processor's time, delays of the event loop.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksums } from '../../../dist/checksum.js';
import { pull } from '../../../dist/index.js';
import { busySeconds, softirqSeconds } from '../processors.mjs';

/** An idle loop is watched as long as a pull takes, and at least so long. */
const IDLE_LEAST_MS = 500;

/** Pulls into one memory, wiped before each; all must bring the same, and verified ones compare it with the seed's checksums. */
export class Destination {
  #memory;
  #sum;

  /** @param memory of memory.mjs; it stays the caller's */
  constructor(memory) {
    this.#memory = memory;
  }

  /** As {@link costOf}, without `into`. */
  async costOf(options, loop) {
    const { region, tensors, wipe } = this.#memory;
    wipe();
    const cost = await costOf({ ...options, into: { kind: 'tensors', tensors } }, loop);
    const [sum] = await checksums([region.handle], [{ region: 0, offset: 0n, bytes: region.byteLength }], undefined);
    this.#sum ??= sum;
    if (sum !== this.#sum) throw new Error('one pull brought other bytes than another');
    return cost;
  }
}

/**
 * One pull into memory of ours, and the event loop of this process beside it.
 * @param {object} options of `pull`, with `verify`
 * @param {{ watched: boolean }} loop whether its delays are watched, which takes the processor a thousand times a second
 * @returns {Promise<object>} seconds of the phases wire and verify; processor seconds of this process, of
 * ksoftirqd, and of the whole computer, in the wire phase; the event loop's p99 delay in ms
 */
async function costOf(options, { watched }) {
  const watch = monitorEventLoopDelay({ resolution: 1 });
  if (watched) watch.enable();
  const running = pull(options);
  let phase;
  let before;
  let used;
  for await (const progress of running) {
    if (progress.phase === phase) continue;
    if (progress.phase === 'wire') before = { own: process.cpuUsage(), softirq: softirqSeconds(), all: busySeconds() };
    if (phase === 'wire') {
      used = { own: process.cpuUsage(before.own), softirq: softirqSeconds() - before.softirq, all: busySeconds() - before.all };
    }
    ({ phase } = progress);
  }
  const { transport, bytes, verified, phases } = await running;
  watch.disable();
  if (transport !== options.transport) throw new Error(`the pull went over ${transport}`);
  if (options.verify && verified?.bytes !== bytes) throw new Error(`verified ${verified?.bytes} of ${bytes} bytes`);
  return {
    bytes: Number(bytes),
    seconds: (phases.wire + phases.verify) / 1000,
    wireSeconds: phases.wire / 1000,
    cpuSeconds: (used.own.user + used.own.system) / 1e6,
    softirqSeconds: used.softirq,
    allCpuSeconds: used.all,
    ...(watched && { loopP99Ms: watch.percentile(99) / 1e6 }),
  };
}

/** The p99 delay of an event loop with nothing to do, ms. */
export async function idleP99Ms(seconds) {
  const watch = monitorEventLoopDelay({ resolution: 1 });
  watch.enable();
  await sleep(Math.max(IDLE_LEAST_MS, seconds * 1000));
  watch.disable();
  return watch.percentile(99) / 1e6;
}

/** Processor time: of this process, of the seed's, of the whole machine. */
import { cpus } from 'node:os';
import type { UsageSource } from '../server/usage.js';

/** Milliseconds of one processor, from some moment on. */
interface Clocks {
  readonly ownMs: number;
  readonly seedMs: number | null;
  readonly busyMs: number;
  readonly allMs: number;
}

/** What was used over some time. */
export interface CpuUse {
  /** Processors that this process kept busy: 1 is one of them. */
  readonly targetCores: number;
  /** The same of the seed; null where it runs elsewhere, or beside this one in a process that nobody tells of. */
  readonly seedCores: number | null;
  /** The same of everything else on this machine: other programs, and what the kernel does for nobody in particular. */
  readonly otherCores: number;
  /** Share of all processors of this machine that was not idle, other programs included; 0 to 1. */
  readonly machineBusy: number;
}

/** Processor times are told in steps of 10 ms: over less than this they say nothing. */
const leastMs = 200;

/** Adds up stretches of time; what lies between them does not count. */
export class CpuMeter {
  readonly #seed: UsageSource | undefined;
  #since: { readonly clocks: Promise<Clocks>; readonly at: number } | undefined;
  #wallMs = 0;
  #used = { ownMs: 0, seedMs: 0, busyMs: 0, allMs: 0 };

  /** @param seed where its usage is read; `undefined`: nowhere. */
  constructor(seed: UsageSource | undefined) {
    this.#seed = seed;
  }

  start(): void {
    this.#since = { clocks: this.#read(), at: performance.now() };
  }

  async stop(): Promise<void> {
    if (this.#since === undefined) return;
    const { clocks, at } = this.#since;
    this.#since = undefined;
    this.#wallMs += performance.now() - at;
    const [before, now] = await Promise.all([clocks, this.#read()]);
    this.#used.ownMs += now.ownMs - before.ownMs;
    this.#used.seedMs += (now.seedMs ?? 0) - (before.seedMs ?? 0);
    this.#used.busyMs += now.busyMs - before.busyMs;
    this.#used.allMs += now.allMs - before.allMs;
  }

  /** null when it was too short to say. */
  use(): CpuUse | null {
    if (this.#wallMs < leastMs || this.#used.allMs === 0) return null;
    const { ownMs, seedMs, busyMs, allMs } = this.#used;
    return {
      targetCores: ownMs / this.#wallMs,
      seedCores: this.#seed === undefined ? null : seedMs / this.#wallMs,
      otherCores: Math.max(0, busyMs - ownMs - seedMs) / this.#wallMs,
      machineBusy: busyMs / allMs,
    };
  }

  async #read(): Promise<Clocks> {
    const own = process.cpuUsage();
    const times = cpus().map((cpu) => cpu.times);
    const allMs = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
    const idleMs = times.reduce((sum, { idle }) => sum + idle, 0);
    const clocks = { ownMs: (own.user + own.system) / 1000, busyMs: allMs - idleMs, allMs };
    return { ...clocks, seedMs: this.#seed === undefined ? null : (await this.#seed.read()).cpuMs };
  }
}

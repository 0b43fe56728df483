/** One server under measurement, and the generators that call it. */
import { throwIfAborted } from '../../errors.js';
import { SourceStatus } from '../../gen/model_express/p2p.js';
import { Background } from '../load/background.js';
import type { Generators } from '../load/generators.js';
import type { Calls, Job, WorkerSet } from '../load/job.js';
import type { Subject } from '../server/subject.js';
import { type Measured, measuredOf } from './measured.js';
import type { Step } from './plan.js';

/** Over so many the workers of a set are published and marked. */
const setupConnections = 8;

export class Bench {
  readonly subject: Subject;
  readonly signal: AbortSignal;
  readonly #generators: Generators;
  readonly #published: WorkerSet[] = [];

  constructor(subject: Subject, generators: Generators, signal: AbortSignal) {
    this.subject = subject;
    this.signal = signal;
    this.#generators = generators;
  }

  /** Publishes every worker of the set once. */
  async publish(workers: WorkerSet): Promise<void> {
    // Noted before: what was published up to an error must be taken back, too.
    this.#published.push(workers);
    await this.#generators.run(this.#job({ method: 'publish', workers }, setupConnections), this.signal);
  }

  /** A heartbeat of every worker of the set. */
  async heartbeat(workers: WorkerSet): Promise<void> {
    await this.#mark(workers, SourceStatus.SOURCE_STATUS_READY, this.signal);
  }

  /** Calls for a while, after a warm-up that does not count. */
  async measure({ calls, connections, heartbeatsPerSecond }: Step, durationMs: number): Promise<Measured> {
    const { usage } = this.subject;
    const { address, security } = this.subject;
    const heartbeats: Calls = { method: 'heartbeat', workers: calls.workers, status: SourceStatus.SOURCE_STATUS_READY };
    await using _background =
      heartbeatsPerSecond === undefined
        ? undefined
        : await Background.start({ server: address, security, calls: heartbeats }, heartbeatsPerSecond, this.signal);
    let before: { readonly cpuMs: number; readonly at: number } | undefined;
    const job = { ...this.#job(calls, connections), time: { warmUpMs: durationMs / 4, durationMs } };
    const loads = await this.#generators.run(job, this.signal, async () => {
      if (usage !== undefined) before = { cpuMs: (await usage.read()).cpuMs, at: performance.now() };
    });
    if (usage === undefined || before === undefined) return measuredOf(loads, undefined);
    const elapsedMs = performance.now() - before.at;
    return measuredOf(loads, { cpuMs: (await usage.read()).cpuMs - before.cpuMs, elapsedMs });
  }

  /** Marks everything that was published STALE: no call removes a worker, but servers forget stale ones after a time. */
  async retire(): Promise<void> {
    // Also after Ctrl-C; but not for ever.
    const signal = AbortSignal.timeout(60_000);
    for (const workers of this.#published.splice(0)) await this.#mark(workers, SourceStatus.SOURCE_STATUS_STALE, signal);
  }

  async #mark(workers: WorkerSet, status: SourceStatus, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal, 'bench');
    await this.#generators.run(this.#job({ method: 'heartbeat', workers, status }, setupConnections), signal);
  }

  #job(calls: Calls, connections: number): Omit<Job, 'mine'> {
    const { address, security } = this.subject;
    return { server: address, security, calls, connections, time: undefined };
  }
}

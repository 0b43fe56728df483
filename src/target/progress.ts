/** Where a pull is, and how long each phase took: of the source that is tried just now. */
import { throwIfAborted } from '../errors.js';
import type { PullPhase, PullProgress } from './options.js';

type Phases = Record<PullPhase, number>;

export class PullClock {
  readonly #started = performance.now();
  readonly #signal: AbortSignal | undefined;
  readonly #report: (progress: PullProgress) => void;
  /** Of finding the sources, which comes before all attempts. */
  #findMs = 0;
  #phases: Phases = noTime();
  #attempt = 0;

  constructor(signal: AbortSignal | undefined, report: (progress: PullProgress) => void) {
    this.#signal = signal;
    this.#report = report;
  }

  /** Another source is tried: its phases begin anew; finding the sources stays counted. */
  startAttempt(): void {
    if (this.#attempt === 0) this.#findMs = this.#phases.discover;
    this.#attempt += 1;
    this.#phases = noTime();
  }

  /** Runs and times one step. @throws ERR_ABORTED before it when the signal has fired. */
  async phase<T>(name: PullPhase, work: () => Promise<T>): Promise<T> {
    throwIfAborted(this.#signal, `pull: ${name}`);
    this.tell(name, 0n, 0n);
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#phases[name] += performance.now() - start;
    }
  }

  tell(phase: PullPhase, bytes: bigint, totalBytes: bigint): void {
    this.#report({ phase, bytes, totalBytes, elapsedMs: this.totalMs, attempt: Math.max(1, this.#attempt) });
  }

  /** Milliseconds of finding sources and of the latest attempt. */
  get phases(): Readonly<Phases> {
    return { ...this.#phases, discover: this.#findMs + this.#phases.discover };
  }

  /** Since the pull began. */
  get totalMs(): number {
    return performance.now() - this.#started;
  }
}

function noTime(): Phases {
  return { discover: 0, prepare: 0, register: 0, connect: 0, wire: 0, verify: 0, write: 0 };
}

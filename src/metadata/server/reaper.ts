/** Marks silent workers STALE and removes those that have been STALE for long. */
import { SourceStatus } from '../../gen/model_express/p2p.js';
import type { Logger } from '../../observe/logger.js';
import { ageMs } from './semantics/clock.js';
import type { MetadataStore, WorkerListing } from '../stores/store.js';

export interface ReaperOptions {
  readonly store: MetadataStore;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** A READY or INITIALIZING worker silent for longer becomes STALE. Milliseconds. */
  readonly heartbeatTimeoutMs: number;
  /** A worker STALE for longer is removed. Milliseconds. */
  readonly gcTimeoutMs: number;
  /** Pause between passes. Milliseconds, at least 1. */
  readonly intervalMs: number;
  readonly logger: Logger;
}

/**
 * Looks at the representative rank of every worker. Workers of status UNKNOWN are left alone for ever: they were
 * published and never heard of, and nobody lists them as READY.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: ReaperOptions) {
    this.#options = options;
  }

  /** The first pass begins at once. */
  start(): void {
    this.#running = this.pass().then(() => {
      if (this.#stopped) return;
      this.#timer = setTimeout(() => {
        this.start();
      }, this.#options.intervalMs);
    });
  }

  /** Resolves when no pass is running any longer. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** One look at all workers. Never rejects: what fails is logged, and the other workers still get their turn. */
  async pass(): Promise<void> {
    const { store, clock, logger } = this.#options;
    const now = clock();
    let workers: readonly WorkerListing[];
    try {
      workers = await store.list();
    } catch (error) {
      logger.error('reaper: cannot list workers', { error: String(error) });
      return;
    }
    for (const worker of workers) {
      try {
        await this.#judge(worker, now);
      } catch (error) {
        const { sourceId, workerId } = worker;
        logger.error('reaper: cannot update worker', { sourceId, workerId, error: String(error) });
      }
    }
  }

  async #judge(worker: WorkerListing, now: number): Promise<void> {
    const { store, heartbeatTimeoutMs, gcTimeoutMs, logger } = this.#options;
    const { sourceId, workerId, workerRank, status, updatedAt } = worker;
    const age = ageMs(updatedAt, now);
    const silent = status === SourceStatus.SOURCE_STATUS_READY || status === SourceStatus.SOURCE_STATUS_INITIALIZING;
    if (silent && age > BigInt(heartbeatTimeoutMs)) {
      const update = { status: SourceStatus.SOURCE_STATUS_STALE, updatedAt: BigInt(Math.trunc(now)) };
      if (await store.updateStatus(sourceId, workerId, workerRank, update, updatedAt)) {
        logger.warn('worker is silent: marked STALE', { sourceId, workerId, workerRank, silentMs: Number(age) });
      }
    } else if (status === SourceStatus.SOURCE_STATUS_STALE && age > BigInt(gcTimeoutMs)) {
      if (await store.removeWorker(sourceId, workerId, updatedAt)) {
        logger.info('stale worker removed', { sourceId, workerId });
      }
    }
  }
}

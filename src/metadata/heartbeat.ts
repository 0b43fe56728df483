/** What a published worker tells the server of itself, beat by beat: that it can be read, and how busy it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import { SourceStatus } from '../gen/model_express/p2p.js';
import type { Logger } from '../observe/logger.js';
import type { MetadataClient } from './client.js';

/** How a worker knows of itself. Both are asked before each heartbeat, and may throw. */
export interface WorkerVitals {
  /** False, or no answer within 5 s: targets are told to go elsewhere (STALE). Default: always true. */
  readonly healthy?: (() => boolean | Promise<boolean>) | undefined;
  /** 0 idle to 1 busy; `undefined`, or no answer within 5 s: not known. Default: not known. */
  readonly sourceLoad?: (() => number | undefined | Promise<number | undefined>) | undefined;
}

export interface HeartbeatOptions extends WorkerVitals {
  readonly client: MetadataClient;
  readonly workerId: string;
  readonly workerRank: number;
  readonly logger: Logger;
  /** Longest wait for either answer: a worker that hangs must not hang its heartbeats. Milliseconds; default 5000. */
  readonly answerMs?: number;
}

export interface HeartbeatReply {
  readonly success: boolean;
  readonly message: string;
}

/** Longest wait for the farewell. Milliseconds. */
const farewellMs = 2000;

const silent: HeartbeatReply = { success: true, message: '' };

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #sourceId = '';
  #lastStatus: SourceStatus | undefined;
  #everReady = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** The worker was published (again), under this id; its status at the server is what it was published with. */
  published(sourceId: string): void {
    this.#sourceId = sourceId;
    this.#lastStatus = undefined;
  }

  /** READY, or a single STALE and then silence while the worker is not healthy. Rejects as the client does. */
  async beat(signal: AbortSignal | undefined): Promise<HeartbeatReply> {
    const [healthy, load] = await Promise.all([this.#healthy(signal), this.#load(signal)]);
    const status = healthy ? SourceStatus.SOURCE_STATUS_READY : SourceStatus.SOURCE_STATUS_STALE;
    if (!healthy && this.#lastStatus === status) return silent;
    const reply = await this.#send(status, load, signal);
    if (reply.success) this.#lastStatus = status;
    if (healthy) this.#everReady = true;
    return reply;
  }

  /** STALE, where READY was ever said; within about 2 s, also when the server is gone. Never rejects. */
  async farewell(): Promise<void> {
    if (!this.#everReady) return;
    try {
      await this.#send(SourceStatus.SOURCE_STATUS_STALE, undefined, AbortSignal.timeout(farewellMs));
    } catch (error) {
      this.#options.logger.warn('cannot mark the worker STALE; the server will after its time-out', { error: String(error) });
    }
  }

  async #healthy(signal: AbortSignal | undefined): Promise<boolean> {
    const { healthy, logger, answerMs } = this.#options;
    if (healthy === undefined) return true;
    try {
      return await inTime(healthy, signal, answerMs);
    } catch (error) {
      throwIfAborted(signal, 'heartbeat');
      logger.warn('the health check failed', { error: String(error) });
      return false;
    }
  }

  async #load(signal: AbortSignal | undefined): Promise<number | undefined> {
    const { sourceLoad, logger, answerMs } = this.#options;
    try {
      const load = sourceLoad === undefined ? undefined : await inTime(sourceLoad, signal, answerMs);
      return load === undefined || Number.isNaN(load) ? undefined : Math.min(1, Math.max(0, load));
    } catch (error) {
      throwIfAborted(signal, 'heartbeat');
      logger.debug('the load is not known', { error: String(error) });
      return undefined;
    }
  }

  #send(status: SourceStatus, load: number | undefined, signal: AbortSignal | undefined): Promise<HeartbeatReply> {
    const { client, workerId, workerRank } = this.#options;
    const sourceLoad = load === undefined ? {} : { sourceLoad: load };
    return client.updateStatus({ mxSourceId: this.#sourceId, workerId, workerRank, status, ...sourceLoad }, signal);
  }
}

async function inTime<T>(ask: () => T | Promise<T>, signal: AbortSignal | undefined, answerMs = 5000): Promise<T> {
  const answered = new AbortController();
  const signals = signal === undefined ? answered.signal : AbortSignal.any([signal, answered.signal]);
  const late = sleep(answerMs, undefined, { signal: signals }).then(() => {
    throw new Error(`no answer within ${answerMs} ms`);
  });
  try {
    return await Promise.race([ask(), late]);
  } finally {
    answered.abort();
    late.catch(() => undefined);
  }
}

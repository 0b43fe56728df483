/** Keeps one worker published: the first publication, heartbeats, and publication again when the server has lost it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeightcastError } from '../errors.js';
import { type SourceIdentity, SourceStatus, type WorkerMetadata } from '../gen/model_express/p2p.js';
import { type Logger, silentLogger } from '../observe/logger.js';
import type { MetadataClient } from './client.js';

export interface PublisherOptions {
  /** Stays open; the caller closes it after {@link Publisher.stop}. */
  readonly client: MetadataClient;
  readonly identity: Partial<SourceIdentity>;
  readonly worker: WorkerMetadata;
  readonly workerId: string;
  /** Default 30 000. Servers hide a worker that was silent for 90 s. */
  readonly heartbeatIntervalMs?: number;
  /** Called after each publication, also a repeated one. */
  readonly onSourceId?: (id: string) => void;
  /** Asked before each heartbeat. While it is false (or throws) the worker is STALE, and READY again afterwards. Default: always true. */
  readonly healthy?: () => boolean;
  readonly logger?: Logger;
  /** Aborts `start`; heartbeats afterwards end with `stop` only. */
  readonly signal?: AbortSignal;
}

/** After a refused heartbeat the next comes soon: two refusals in a row are what leads to publishing again. */
const afterRefusalMs = 1000;

/** After a failed call, for example because the server restarts. */
const afterFailureMs = 5000;

/** Refused heartbeats in a row after which the worker is published again. ModelExpress' publishers use the same number. */
const refusalsUntilPublish = 2;

/** Pauses before the second and third attempt to publish in one beat; then the next beat tries. */
const publishPausesMs = [1000, 2000];

/** Longest wait for the farewell of `stop`. */
const farewellMs = 2000;

/**
 * A server that cannot be reached is only an error for `start`. Later, calls that fail are logged as warnings and tried
 * again for as long as the publisher lives: the weights are still served, and the server may come back.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #stopping = new AbortController();
  #sourceId = '';
  #mustPublish = false;
  #refusals = 0;
  #lastStatus: SourceStatus | undefined;
  #everReady = false;
  #failing = false;
  #loop: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  private constructor(options: PublisherOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#intervalMs = options.heartbeatIntervalMs ?? 30_000;
  }

  /**
   * Publishes and sends the first READY (STALE where `healthy` says no); resolves when both are answered.
   *
   * @throws what {@link MetadataClient.publish} and `updateStatus` throw, after one attempt; ERR_PUBLISH_REFUSED also
   * when the server refuses the first heartbeat; ERR_ABORTED; ERR_INVALID_ARGUMENT for an interval that is not positive.
   */
  static async start(options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(options);
    if (!(publisher.#intervalMs > 0)) {
      const text = `Expected a positive number for heartbeatIntervalMs but received ${String(publisher.#intervalMs)}`;
      throw new WeightcastError('ERR_INVALID_ARGUMENT', text);
    }
    await publisher.#publish(options.signal);
    const reply = await publisher.#report(options.signal);
    if (!reply.success) {
      const { server } = options.client;
      const text = `the metadata server at ${server} refused the first heartbeat: ${reply.message}`;
      throw new WeightcastError('ERR_PUBLISH_REFUSED', text, { peer: server, grpcMessage: reply.message });
    }
    publisher.#loop = publisher.#beat();
    return publisher;
  }

  /** The id that the server gave last. */
  get sourceId(): string {
    return this.#sourceId;
  }

  /** Ends the heartbeats and marks the worker STALE, within about 2 s even when the server is gone. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    if (!this.#everReady) return;
    try {
      await this.#send(SourceStatus.SOURCE_STATUS_STALE, AbortSignal.timeout(farewellMs));
    } catch (error) {
      this.#logger.warn('cannot mark the worker STALE; the server will after its time-out', { error: String(error) });
    }
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = (): boolean => signal.aborted;
    let pauseMs = this.#intervalMs;
    for (;;) {
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      if (stopped()) return;
      try {
        if (this.#mustPublish) await this.#publishAgain(signal);
        pauseMs = await this.#heartbeat(signal);
      } catch (error) {
        if (stopped()) return;
        this.#warn('cannot reach the metadata server; trying again', { error: String(error) });
        pauseMs = Math.min(this.#intervalMs, afterFailureMs);
      }
    }
  }

  /** Resolves to the pause until the next beat. */
  async #heartbeat(signal: AbortSignal): Promise<number> {
    const reply = await this.#report(signal);
    if (reply.success) {
      if (this.#failing) this.#logger.info('the metadata server answers again', { sourceId: this.#sourceId });
      this.#failing = false;
      this.#refusals = 0;
      return this.#intervalMs;
    }
    this.#refusals++;
    this.#warn('heartbeat refused', { message: reply.message, refusals: this.#refusals });
    if (this.#refusals < refusalsUntilPublish) return Math.min(this.#intervalMs, afterRefusalMs);
    this.#mustPublish = true;
    this.#refusals = 0;
    return 0;
  }

  async #publishAgain(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#publish(signal);
        this.#logger.info('published again', { sourceId: this.#sourceId, workerId: this.#options.workerId });
        return;
      } catch (error) {
        const pauseMs = publishPausesMs[attempt];
        const unreachable = error instanceof WeightcastError && error.code === 'ERR_SERVER_UNREACHABLE';
        if (!unreachable || pauseMs === undefined) throw error;
        this.#warn('cannot publish again; trying again', { error: String(error) });
        await sleep(pauseMs, undefined, { signal });
      }
    }
  }

  async #publish(signal: AbortSignal | undefined): Promise<void> {
    const { client, identity, worker, workerId, onSourceId } = this.#options;
    this.#sourceId = await client.publish({ identity, worker, workerId }, signal);
    this.#mustPublish = false;
    this.#lastStatus = undefined;
    onSourceId?.(this.#sourceId);
  }

  /** READY, or a single STALE and then silence while the worker is not healthy. */
  async #report(signal: AbortSignal | undefined): Promise<{ success: boolean; message: string }> {
    const status = this.#isHealthy() ? SourceStatus.SOURCE_STATUS_READY : SourceStatus.SOURCE_STATUS_STALE;
    if (status === SourceStatus.SOURCE_STATUS_STALE && this.#lastStatus === status) return { success: true, message: '' };
    const reply = await this.#send(status, signal);
    if (reply.success) this.#lastStatus = status;
    if (status === SourceStatus.SOURCE_STATUS_READY) this.#everReady = true;
    return reply;
  }

  #isHealthy(): boolean {
    try {
      return this.#options.healthy?.() ?? true;
    } catch (error) {
      this.#logger.warn('the health check threw', { error: String(error) });
      return false;
    }
  }

  #send(status: SourceStatus, signal: AbortSignal | undefined): Promise<{ success: boolean; message: string }> {
    const { client, worker, workerId } = this.#options;
    return client.updateStatus({ mxSourceId: this.#sourceId, workerId, workerRank: worker.workerRank, status }, signal);
  }

  #warn(message: string, fields: object): void {
    this.#failing = true;
    this.#logger.warn(message, { server: this.#options.client.server, ...fields });
  }
}

/** Keeps one worker published: the first publication, heartbeats, and publication again when the server has lost it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toWeightcastError, WeightcastError } from '../errors.js';
import type { SourceIdentity, WorkerMetadata } from '../gen/model_express/p2p.js';
import { type Logger, silentLogger } from '../observe/logger.js';
import type { MetadataClient, Pod } from './client.js';
import { Heartbeat, type WorkerVitals } from './heartbeat.js';

export interface PublisherOptions extends WorkerVitals {
  /** Stays open; the caller closes it after {@link Publisher.stop}. */
  readonly client: MetadataClient;
  readonly identity: Partial<SourceIdentity>;
  readonly worker: WorkerMetadata;
  readonly workerId: string;
  /** The Kubernetes pod that this is, for servers that keep their records with it. */
  readonly pod?: Pod | undefined;
  /** Milliseconds; default 30 000. Servers hide a worker that was silent for 90 s. */
  readonly heartbeatIntervalMs?: number | undefined;
  /**
   * How long publishing again is tried, from the first attempt after the server had lost the worker. Milliseconds; default
   * 1 800 000. Afterwards nothing is tried any more.
   */
  readonly publishTimeoutMs?: number | undefined;
  /** Called after each publication, also a repeated one. */
  readonly onSourceId?: ((id: string) => void) | undefined;
  /** The publish time-out is over: the worker is not published, and will not be. Called once, with the last failure. */
  readonly onGivenUp?: ((error: WeightcastError) => void) | undefined;
  readonly logger?: Logger | undefined;
  /** Aborts `start`; heartbeats afterwards end with `stop` only. */
  readonly signal?: AbortSignal | undefined;
}

/** After a refused heartbeat the next comes soon: two refusals in a row are what leads to publishing again. */
const afterRefusalMs = 1000;

/** After a failed call, for example because the server restarts. */
const afterFailureMs = 5000;

/** Refused heartbeats in a row after which the worker is published again. ModelExpress' publishers use the same number. */
const refusalsUntilPublish = 2;

/** Pauses before the second and third attempt to publish in one beat; then the next beat tries. */
const publishPausesMs = [1000, 2000];

const defaultIntervalMs = 30_000;
const defaultPublishTimeoutMs = 1_800_000;

/**
 * A server that cannot be reached is only an error for `start`. Later, calls that fail are logged as warnings and tried
 * again: the weights are still served, and the server may come back.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #publishTimeoutMs: number;
  readonly #heartbeat: Heartbeat;
  readonly #stopping = new AbortController();
  #sourceId = '';
  /** When the server was first asked to take the lost worker again; `undefined` while it has it. Monotonic milliseconds. */
  #lostSince: number | undefined;
  #refusals = 0;
  #failing = false;
  #loop: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  private constructor(options: PublisherOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#intervalMs = positive('heartbeatIntervalMs', options.heartbeatIntervalMs ?? defaultIntervalMs);
    this.#publishTimeoutMs = positive('publishTimeoutMs', options.publishTimeoutMs ?? defaultPublishTimeoutMs);
    const { client, workerId, healthy, sourceLoad, worker } = options;
    this.#heartbeat = new Heartbeat({ client, workerId, workerRank: worker.workerRank, healthy, sourceLoad, logger: this.#logger });
  }

  /**
   * Publishes and sends the first READY (STALE where `healthy` says no); resolves when both are answered.
   *
   * @throws what {@link MetadataClient.publish} and `updateStatus` throw, after one attempt; ERR_PUBLISH_REFUSED also
   * when the server refuses the first heartbeat; ERR_ABORTED; ERR_INVALID_ARGUMENT for a time that is not positive.
   */
  static async start(options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(options);
    await publisher.#publish(options.signal);
    const reply = await publisher.#heartbeat.beat(options.signal);
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
    await this.#heartbeat.farewell();
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = (): boolean => signal.aborted;
    let pauseMs = this.#intervalMs;
    for (;;) {
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      if (stopped()) return;
      try {
        if (this.#lostSince !== undefined) await this.#publishAgain(signal);
        pauseMs = await this.#heartbeatOnce(signal);
      } catch (error) {
        if (stopped()) return;
        if (this.#givesUp(error)) return;
        this.#warn('cannot reach the metadata server; trying again', { error: String(error) });
        pauseMs = Math.min(this.#intervalMs, afterFailureMs);
      }
    }
  }

  /** Resolves to the pause until the next beat. */
  async #heartbeatOnce(signal: AbortSignal): Promise<number> {
    const reply = await this.#heartbeat.beat(signal);
    if (reply.success) {
      if (this.#failing) this.#logger.info('the metadata server answers again', { sourceId: this.#sourceId });
      this.#failing = false;
      this.#refusals = 0;
      return this.#intervalMs;
    }
    this.#refusals++;
    this.#warn('heartbeat refused', { message: reply.message, refusals: this.#refusals });
    if (this.#refusals < refusalsUntilPublish) return Math.min(this.#intervalMs, afterRefusalMs);
    this.#lostSince = performance.now();
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
        if (!unreachable || pauseMs === undefined || this.#timedOut()) throw error;
        this.#warn('cannot publish again; trying again', { error: String(error) });
        await sleep(pauseMs, undefined, { signal });
      }
    }
  }

  async #publish(signal: AbortSignal | undefined): Promise<void> {
    const { client, identity, worker, workerId, pod, onSourceId } = this.#options;
    this.#sourceId = await client.publish({ identity, worker, workerId, pod }, signal);
    this.#lostSince = undefined;
    this.#heartbeat.published(this.#sourceId);
    onSourceId?.(this.#sourceId);
  }

  #timedOut(): boolean {
    return this.#lostSince !== undefined && performance.now() - this.#lostSince > this.#publishTimeoutMs;
  }

  #givesUp(error: unknown): boolean {
    if (!this.#timedOut()) return false;
    const { client, workerId, onGivenUp } = this.#options;
    const last = toWeightcastError(error);
    const { server } = client;
    this.#logger.error('publishing again failed for too long and is given up: targets do not find these weights any more', {
      server,
      workerId,
      timeoutMs: this.#publishTimeoutMs,
      error: last.message,
    });
    const text = `cannot publish worker ${workerId} again at ${server} for ${this.#publishTimeoutMs} ms, given up: ${last.message}`;
    onGivenUp?.(new WeightcastError(last.code, text, { cause: last, peer: server }));
    return true;
  }

  #warn(message: string, fields: object): void {
    this.#failing = true;
    this.#logger.warn(message, { server: this.#options.client.server, ...fields });
  }
}

function positive(name: string, value: number): number {
  if (value > 0) return value;
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a positive number for ${name} but received ${value}`);
}

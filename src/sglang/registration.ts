/** Registering a rank with the bootstrap server of its SGLang instance, ours or SGLang's own, and seeing that it stays so. */
import { setTimeout as delay } from 'node:timers/promises';
import { throwIfAborted, WeightcastError } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import { lookupPath, registerPath } from './rank-desk.js';
import { weightsJson, type RankInfo } from './rank-table.js';

export interface RegistrationOptions {
  /** `http://host:port`. */
  readonly url: string;
  readonly rank: number;
  readonly info: RankInfo;
  /** Time between two looks whether the server still knows the rank. Milliseconds. */
  readonly intervalMs: number;
  readonly logger: Logger;
  /** Ends the first attempt. */
  readonly signal: AbortSignal | undefined;
}

/** As SGLang's ranks have it. Milliseconds. */
const answerMs = 5000;
/** Ranks of an instance start together; the one that answers may be the last to listen. Milliseconds. */
const patienceMs = 30_000;
const pauseMs = 250;

export class Registration {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private look = Promise.resolve();

  private constructor(
    private readonly options: RegistrationOptions,
    private readonly body: string,
  ) {}

  /**
   * Resolves when the rank is registered; a server that does not listen yet is waited for, 30 s at most.
   * @throws ERR_SERVER_UNREACHABLE, ERR_PUBLISH_REFUSED with the server's own words, ERR_ABORTED.
   */
  static async start(options: RegistrationOptions): Promise<Registration> {
    const { rank, info, url, signal } = options;
    // Older servers know "tp_rank" only, newer ones prefer "rank".
    const body = `{"rank":${rank},"tp_rank":${rank},"transfer_engine_info":{"session_id":${JSON.stringify(info.sessionId)},"weights_info_dict":${weightsJson(info.tensors)}}}`;
    const registration = new Registration(options, body);
    const deadline = performance.now() + patienceMs;
    for (;;) {
      throwIfAborted(signal, `register with ${url}`);
      try {
        await registration.register();
        break;
      } catch (error) {
        const waits = error instanceof WeightcastError && error.code === 'ERR_SERVER_UNREACHABLE' && performance.now() < deadline;
        if (!waits) throw error;
        await delay(pauseMs);
      }
    }
    registration.schedule();
    return registration;
  }

  /** Takes the registration back, where the server can do that: SGLang's own cannot. Never rejects. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.look;
    const { rank, info } = this.options;
    const query = new URLSearchParams({ rank: String(rank), session_id: info.sessionId });
    await this.ask(`${registerPath}?${query.toString()}`, 'DELETE').catch(() => undefined);
  }

  private async register(): Promise<void> {
    const { status, text } = await this.ask(registerPath, 'PUT', this.body);
    if (status === 200) return;
    const { url, rank } = this.options;
    throw new WeightcastError('ERR_PUBLISH_REFUSED', `${url} does not register rank ${rank}: ${status} ${text}`, { peer: url });
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.look = this.renew().then(() => this.schedule());
    }, this.options.intervalMs);
    this.timer.unref();
  }

  /** A server that was started again knows nobody. A rank that another process has registered meanwhile is left to it. */
  private async renew(): Promise<void> {
    const { url, rank, logger } = this.options;
    try {
      const { status } = await this.ask(`${lookupPath}?rank=${rank}`, 'GET');
      if (status !== 404 || this.stopped) return;
      await this.register();
      logger.info('registered again', { url, rank });
    } catch (error) {
      logger.warn('the registration cannot be looked after; it is tried again', { url, rank, error });
    }
  }

  /** The text of an answer that is an error; what was asked for is not needed. */
  private async ask(path: string, method: string, body: string | null = null): Promise<{ status: number; text: string }> {
    const { url } = this.options;
    try {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(new URL(path, url), { method, body, headers, signal: AbortSignal.timeout(answerMs) });
      const { status } = response;
      if (status !== 200) return { status, text: (await response.text()).slice(0, 500).trim() };
      await response.body?.cancel();
      return { status, text: '' };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new WeightcastError('ERR_SERVER_UNREACHABLE', `cannot reach SGLang's bootstrap server at ${url}: ${reason}`, {
        cause: error,
        peer: url,
      });
    }
  }
}

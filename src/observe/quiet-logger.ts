/** Log lines that others can cause in any number. */
import type { Logger } from './logger.js';

/** At most one line of a kind in a while; the next says how many were left out. */
export class QuietLogger {
  readonly #logger: Logger;
  readonly #pauseMs: number;
  readonly #kinds = new Map<string, { at: number; leftOut: number }>();

  /** @param pauseMs between two lines of a kind; default 10 000. */
  constructor(logger: Logger, pauseMs = 10_000) {
    this.#logger = logger;
    this.#pauseMs = pauseMs;
  }

  /** @param kind one of few: it is remembered. */
  warn(kind: string, message: string, fields: object = {}): void {
    const now = performance.now();
    const last = this.#kinds.get(kind);
    if (last !== undefined && now - last.at < this.#pauseMs) {
      last.leftOut += 1;
      return;
    }
    const leftOut = last?.leftOut ?? 0;
    this.#kinds.set(kind, { at: now, leftOut: 0 });
    this.#logger.warn(message, leftOut === 0 ? fields : { ...fields, leftOut });
  }
}

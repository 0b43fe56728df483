/** Rate limiting by token bucket. */

/** Full at first; a take empties it by one, time fills it again. */
export class TokenBucket {
  readonly #ratePerMs: number;
  readonly #burst: number;
  readonly #clock: () => number;
  #tokens: number;
  #filledAt: number;

  /**
   * @param ratePerSecond 0: every take succeeds.
   * @param burst what the bucket holds.
   * @param clock milliseconds that never go back; default `performance.now`.
   */
  constructor(ratePerSecond: number, burst: number, clock: () => number = () => performance.now()) {
    this.#ratePerMs = ratePerSecond === 0 ? Infinity : ratePerSecond / 1000;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#filledAt = clock();
  }

  /** @returns false: there was none left. */
  take(): boolean {
    if (this.#ratePerMs === Infinity) return true;
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Takes any number, also more than there is. */
  charge(count: number): void {
    if (this.#ratePerMs === Infinity) return;
    this.#fill();
    this.#tokens -= count;
  }

  /** Milliseconds until there is one again; 0: now. */
  get waitMs(): number {
    if (this.#ratePerMs === Infinity) return 0;
    this.#fill();
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#ratePerMs);
  }

  /** As new: it may be forgotten. */
  get full(): boolean {
    if (this.#ratePerMs === Infinity) return true;
    this.#fill();
    return this.#tokens >= this.#burst;
  }

  #fill(): void {
    const now = this.#clock();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#ratePerMs);
    this.#filledAt = now;
  }
}

/** How fast bytes come in just now, over a sliding window: what an ETA has to be made of. */
export class RateMeter {
  readonly #windowMs: number;
  readonly #samples: { readonly atMs: number; readonly bytes: bigint }[] = [];

  /** @param windowMs how far back the rate looks; default 3 s. */
  constructor(windowMs = 3000) {
    this.#windowMs = windowMs;
  }

  /** Takes a running total at a time. Times must not go back; a total that goes back starts over. */
  sample(atMs: number, bytes: bigint): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.#samples.length = 0;
    this.#samples.push({ atMs, bytes });
    // The oldest sample that is kept is the last one before the window, so that the window is always covered.
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? atMs) <= atMs - this.#windowMs) this.#samples.shift();
  }

  /** Bytes a second; NaN until two samples of different times are there. */
  get bytesPerSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return Number.NaN;
    return (Number(last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
  }
}

/** How many reads of one size are made, and where. */

/** Reads of one size, in passes over different memory: nothing is read twice before the whole buffer was. */
export interface SizePlan {
  readonly size: number;
  readonly readsPerPass: number;
  /** `undefined`: passes go on until the time is over. */
  readonly passes: number | undefined;
}

/** So that there is a spread; and a pass that something else disturbed does not stand for all. */
const leastPasses = 5;

/** Powers of two from 2 bytes to 8 MiB, as perftest's `-a` has them. */
export const sweep: readonly number[] = Array.from({ length: 23 }, (_, index) => 2 ** (index + 1));

/**
 * Plans at least `iterations` reads of `size` bytes.
 * @param iterations `undefined`: as many as a duration allows.
 * @param buffer bytes on either side; at least `size`.
 */
export function planSize(size: number, iterations: number | undefined, buffer: number): SizePlan {
  const fit = Math.floor(buffer / size);
  if (iterations === undefined) return { size, readsPerPass: Math.min(fit, Math.max(200, Math.ceil(2 ** 26 / size))), passes: undefined };
  const readsPerPass = Math.min(fit, Math.ceil(iterations / leastPasses));
  return { size, readsPerPass, passes: Math.ceil(iterations / readsPerPass) };
}

/** Where the passes over a buffer begin: each behind the one before it, and from the front again where the rest is too short. */
export class Windows {
  #next = 0;

  constructor(private readonly buffer: number) {}

  /** The first byte of the next window of `bytes`. */
  take(bytes: number): number {
    const start = this.#next + bytes <= this.buffer ? this.#next : 0;
    this.#next = start + bytes;
    return start;
  }
}

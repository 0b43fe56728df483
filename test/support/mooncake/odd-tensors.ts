/** The tensors that are moved between Weightcast and Mooncake, over every transport: as awkward as sizes can be. */

const count = 500;
/** One of these, in the middle: many slices and chunks of either side. */
const largest = 64 * 2 ** 20;
/** What the others stay below. */
const small = 2 ** 20;

/**
 * 500 tensors, [name, bytes]: the first of 1 B, one of 64 MiB, the others of odd sizes below 1 MiB, as many between 1 KiB and 2 KiB
 * as between 2 KiB and 4 KiB. About 113 MB in all, the same every time.
 */
export function oddTensors(): readonly (readonly [name: string, bytes: number])[] {
  const random = uniform(4);
  return Array.from({ length: count }, (_, index) => {
    const bytes = index === 0 ? 1 : index === count / 2 ? largest : Math.floor(small ** random()) | 1;
    return [`layers.${index}.weight`, bytes] as const;
  });
}

/** Where each tensor begins when they lie one after the other, each at a multiple of `align`: what peer.py's `allocate` does. */
export function offsetsOf(tensors: readonly (readonly [name: string, bytes: number])[], align: number): Readonly<Record<string, number>> {
  let end = 0;
  return Object.fromEntries(
    tensors.map(([name, bytes]) => {
      const offset = Math.ceil(end / align) * align;
      end = offset + bytes;
      return [name, offset];
    }),
  );
}

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

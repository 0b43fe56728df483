// The order of a reader that has nothing in common with the seed's.

/** A prime, so that it has no divisor in common with a count that is not a multiple of it. */
const STEP = 3571;

/** Where place `index` of `count` comes from: the same every time, with neighbours of the one order far apart in the other. */
export function shuffledIndex(index, count) {
  if (count % STEP === 0) throw new Error(`${count} places cannot be shuffled in steps of ${STEP}`);
  return (index * STEP) % count;
}

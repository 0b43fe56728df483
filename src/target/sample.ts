/** Which tensors stand for all, where comparing all takes too long. */

/** One tensor of so many. */
const ONE_OF = 16;
/** Of a few tensors more than that share. */
const LEAST = 16;

/**
 * A random part of a list, in no order: one in {@link ONE_OF}, at least {@link LEAST}, without repetition. If `bad` of `count` are
 * bad, all of a sample of n are good with a chance of about (1 - bad / count)^n: a single bad tensor is mostly missed, a source
 * that holds another model, or memory that was used for something else, is found.
 * @param random - as Math.random; for tests.
 */
export function sampleOf<Row>(rows: readonly Row[], random: () => number = Math.random): Row[] {
  const left = [...rows];
  const count = Math.min(left.length, Math.max(LEAST, Math.ceil(left.length / ONE_OF)));
  // The first steps of a Fisher-Yates shuffle.
  for (let index = 0; index < count; index += 1) {
    const other = index + Math.floor(random() * (left.length - index));
    const chosen = left[other];
    const replaced = left[index];
    if (chosen === undefined || replaced === undefined) break;
    [left[index], left[other]] = [chosen, replaced];
  }
  return left.slice(0, count);
}

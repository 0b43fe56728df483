/** From values to places: where a value lies on an axis, and which values are written beside it. */

export interface Axis {
  /** Place of a value, in units of the drawing. */
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** From 0 on, in steps of 1, 2 or 5 times a power of ten. @param most the largest value. */
export function linearAxis(most: number, from: number, to: number): Axis {
  const top = most > 0 ? most : 1;
  const rough = top / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const steps = Math.ceil(top / step - 1e-9);
  const at = (value: number): number => from + (value / (steps * step)) * (to - from);
  return { at, ticks: Array.from({ length: steps + 1 }, (_, index) => index * step) };
}

/** Powers of `base`; not more of them are written than fit. @param values above 0, at least one. */
export function logAxis(values: readonly number[], base: 2 | 10, from: number, to: number, mostTicks: number): Axis {
  const log = base === 2 ? Math.log2 : Math.log10;
  let low = Math.floor(log(Math.min(...values)) + 1e-9);
  let high = Math.ceil(log(Math.max(...values)) - 1e-9);
  if (low === high) {
    low -= 1;
    high += 1;
  }
  const at = (value: number): number => from + ((log(value) - low) / (high - low)) * (to - from);
  const step = Math.ceil((high - low + 1) / mostTicks);
  const exponents = Array.from({ length: high - low + 1 }, (_, index) => low + index).filter((exponent) => (exponent - low) % step === 0);
  return { at, ticks: exponents.map((exponent) => base ** exponent) };
}

/** Age of a stored time. */

/** Milliseconds from `then` to `now`; a time in the future (clocks of several machines differ) counts as now. */
export function ageMs(then: bigint, now: number): bigint {
  const age = BigInt(Math.trunc(now)) - then;
  return age < 0n ? 0n : age;
}

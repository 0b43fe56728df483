/** How numbers are written, and their ranges. */

export const uint32Max = 0xffff_ffff;
/** Of protobuf enumerations. */
export const int32Min = -0x8000_0000;
export const int32Max = 0x7fff_ffff;

/**
 * A float of 32 bits in the shortest digits that name it, as Rust writes it: `0.1` and not `0.10000000149011612`, `1.0` and not `1`.
 * What is no number is null.
 */
export function floatJson(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return 'null';
  const single = Math.fround(value);
  if (single === 0) return Object.is(single, -0) ? '-0.0' : '0.0';
  let digits = 1;
  while (digits < 9 && Math.fround(Number(single.toPrecision(digits))) !== single) digits++;
  const shortest = Number(single.toPrecision(digits));
  const magnitude = Math.abs(shortest);
  if (magnitude < 1e-5 || magnitude >= 1e13) return shortest.toExponential().replace('e+', 'e');
  const text = String(shortest);
  return text.includes('.') ? text : `${text}.0`;
}

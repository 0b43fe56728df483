/** Numbers as the page writes them. */

/** `64 KiB`, `1 MiB`; what is no whole number of them, in bytes. */
export function sizeText(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${String(bytes / size)} ${unit}`;
  }
  return `${String(bytes)} B`;
}

/** Three digits that count, without an exponent. */
export function short(value: number): string {
  if (value === 0) return '0';
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

export function percentText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** `840 µs`, `12.3 ms`, `1.2 s`. */
export function timeText(us: number): string {
  if (us < 1000) return `${short(us)} µs`;
  return us < 1e6 ? `${short(us / 1000)} ms` : `${short(us / 1e6)} s`;
}

/** Numbers as people read them. Units are decimal: 1 GB is 10^9 bytes, 1 GB/s is 10^9 bytes a second. */

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `256.00 MB`; three significant places from 1 kB on. */
export function formatBytes(bytes: bigint | number): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 999.995 && unit < byteUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${String(value)} B` : `${value.toFixed(2)} ${byteUnits[unit] ?? ''}`;
}

/** `1.234 GB/s`, `85.1 MB/s`: GB/s from 0.1 GB/s on. */
export function formatRate(bytesPerSecond: number): string {
  if (!Number.isFinite(bytesPerSecond)) return '- GB/s';
  return bytesPerSecond >= 1e8 ? `${(bytesPerSecond / 1e9).toFixed(3)} GB/s` : `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
}

/** Time left on a progress bar: `0:07`, `1:02:03`. */
export function formatEta(seconds: number): string {
  const whole = Math.ceil(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

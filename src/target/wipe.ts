/** Memory made zero again. */
import { availableParallelism } from 'node:os';
import type { ChecksumRange } from '../checksum.js';
import { throwIfAborted } from '../errors.js';
import { native, type NativeRegion } from '../native.js';
import { Region } from '../region.js';

/** Zeros that are copied at a time. Pages that are only read take no memory. Bytes. */
const piece = 64n << 20n;

/**
 * Writes zeros to these ranges and to nothing between them, which may be somebody else's, on native threads.
 * @throws ERR_ABORTED between two pieces.
 */
export async function wipe(
  regions: readonly NativeRegion[],
  ranges: readonly ChecksumRange[],
  signal: AbortSignal | undefined,
): Promise<void> {
  using zeros = await Region.allocate(piece, { hugePages: 'never' });
  for (const { region, offset, bytes } of joined(ranges)) {
    const memory = regions[region];
    const start = (memory?.address ?? 0n) + offset;
    for (let done = 0n; done < bytes; done += piece) {
      throwIfAborted(signal, 'wipe');
      const step = bytes - done < piece ? bytes - done : piece;
      using from = Region.fromAddress(zeros.address, step, { writable: false });
      using into = await partOf(memory, start + done, step);
      await native().copyRegion(from.handle, into.handle, availableParallelism());
    }
  }
}

async function partOf(memory: NativeRegion | undefined, address: bigint, bytes: bigint): Promise<Region> {
  const device = memory?.device;
  return device === undefined ? Region.fromAddress(address, bytes) : Region.fromDeviceAddress(device.kind, address, bytes);
}

/** Neighbours as one. */
function joined(ranges: readonly ChecksumRange[]): ChecksumRange[] {
  const sorted = ranges
    .filter((range) => range.bytes > 0n)
    .sort((a, b) => a.region - b.region || (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0));
  const wide: { region: number; offset: bigint; bytes: bigint }[] = [];
  for (const { region, offset, bytes } of sorted) {
    const last = wide.at(-1);
    if (last?.region === region && offset === last.offset + last.bytes) last.bytes += bytes;
    else wide.push({ region, offset, bytes });
  }
  return wide;
}

/** XXH3-64 (seed 0) of memory: what tensors are published with and compared by. */
import { availableParallelism } from 'node:os';
import { native, type NativeRegion } from './native.js';
import { settled } from './native-task.js';

/** A part of a region. */
export interface ChecksumRange {
  /** Index into the regions. */
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: bigint;
  readonly bytes: bigint;
}

/** Of no bytes; the test vector of the reference implementation. */
const ofNothing = 0x2d06800538d394c2n;

/**
 * One checksum a range, in their order, computed on native threads, one a core. Where a range of no bytes lies does not matter.
 * @throws native faults and aborts as they are; the caller says what was being done.
 */
export async function checksums(
  regions: readonly NativeRegion[],
  ranges: readonly ChecksumRange[],
  signal: AbortSignal | undefined,
  onProgress?: (bytes: bigint, totalBytes: bigint) => void,
): Promise<BigUint64Array> {
  const filled = ranges.filter((range) => range.bytes > 0n);
  const task = native().checksum(
    regions,
    Uint32Array.from(filled, (range) => range.region),
    BigUint64Array.from(filled, (range) => range.offset),
    BigUint64Array.from(filled, (range) => range.bytes),
    availableParallelism(),
  );
  const sums = await settled(task, signal, onProgress);
  let next = 0;
  return BigUint64Array.from(ranges, (range) => (range.bytes > 0n ? (sums[next++] ?? 0n) : ofNothing));
}

/** XXH3-64 (seed 0) of memory: what tensors are published with and compared by. */
import { availableParallelism } from 'node:os';
import { native, type NativeFollower, type NativeRegion } from './native.js';
import { settled } from './native-task.js';

/** A part of a region. */
export interface ChecksumRange {
  /** Index into the regions. */
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: bigint;
  readonly bytes: bigint;
}

type OnProgress = (bytes: bigint, totalBytes: bigint) => void;

/** Checksums that can be had once, in the order in which they were asked for. */
export interface Hashing {
  /** Bytes hashed already. */
  readonly hashedBytes: bigint;
  /** Hashes the rest, of which `onProgress` hears. @throws as {@link checksums}. */
  finish(signal: AbortSignal | undefined, onProgress?: OnProgress): Promise<BigUint64Array>;
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
  onProgress?: OnProgress,
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

/** Of memory as it is when `finish` is called. */
export function hashingOf(regions: readonly NativeRegion[], ranges: readonly ChecksumRange[]): Hashing {
  return { hashedBytes: 0n, finish: (signal, onProgress) => checksums(regions, ranges, signal, onProgress) };
}

/** Of these rows of a transfer, which began to compute them. */
export function hashingBehind(follower: NativeFollower, rows: readonly number[]): Hashing {
  return {
    hashedBytes: follower.hashedBytes,
    finish: async (signal, onProgress) => {
      const sums = await settled(follower.finish(availableParallelism()), signal, onProgress);
      return BigUint64Array.from(rows, (row) => sums[row] ?? 0n);
    },
  };
}

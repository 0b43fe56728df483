/** Checksums of what landed, against the seed's, or against those of a first read. */
import type { Hashing } from '../checksum.js';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import type { CatalogTensor } from './catalog.js';
import type { Placement } from './destinations/index.js';
import { sampleOf } from './sample.js';

export interface Verified {
  readonly algorithm: 'xxh3-64';
  readonly tensors: number;
  readonly bytes: bigint;
  /** Of these, bytes that were hashed while others were read still: they cost no time of the phase `verify`. */
  readonly bytesWhileReading: bigint;
  /** Of `bytes`, those that the seed publishes no checksums of: they were read twice, and both reads compared. */
  readonly bytesReadTwice: bigint;
  /** Only a random part was compared, of so many tensors that could have been; absent where all were. */
  readonly sampleOf?: number;
}

/** Which of a placement's tensors are compared. */
export interface Comparison {
  /** Their indexes. */
  readonly rows: readonly number[];
  /** How many could have been. */
  readonly of: number;
}

export interface VerifyOptions {
  readonly peer: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (bytes: bigint, totalBytes: bigint) => void;
}

/** Every tensor that has a checksum, a sample of them, or none. */
export function comparisonOf({ tensors }: Placement, how: 'all' | 'sampled' | 'none'): Comparison {
  const all = how === 'none' ? [] : [...tensors.keys()].filter((row) => tensors[row]?.checksum !== undefined);
  return { rows: how === 'sampled' ? sampleOf(all) : all, of: all.length };
}

/**
 * @param hashing of the comparison's rows.
 * @returns `undefined` when there are none.
 * @throws ERR_CHECKSUM_MISMATCH naming the first tensor and how many differ, ERR_ABORTED.
 */
export async function verify(
  placement: Placement,
  { rows, of }: Comparison,
  hashing: Hashing,
  { peer, signal, onProgress }: VerifyOptions,
): Promise<Verified | undefined> {
  throwIfAborted(signal, 'verify');
  if (rows.length === 0) return undefined;
  const tensors = rows.flatMap((row) => placement.tensors[row] ?? []);
  try {
    const sums = await hashing.finish(signal, onProgress);
    const wrong = tensors.filter((tensor, index) => sums[index] !== tensor.checksum);
    if (wrong[0] !== undefined) throw mismatch(wrong[0], wrong.length, tensors.length, peer);
  } catch (error) {
    throw toWeightcastError(error, { doing: 'cannot verify what was read', peer });
  }
  const verified = {
    algorithm: 'xxh3-64',
    tensors: tensors.length,
    bytes: sumOf(tensors),
    bytesWhileReading: hashing.hashedBytes,
    bytesReadTwice: sumOf(tensors.filter((tensor) => tensor.readTwice === true)),
  } as const;
  return rows.length === of ? verified : { ...verified, sampleOf: of };
}

function mismatch(first: CatalogTensor, wrong: number, of: number, peer: string): WeightcastError {
  const differ = first.readTwice === true ? 'differ between two reads' : 'differ from its checksums';
  const because =
    first.readTwice === true
      ? "the seed's memory changes while it is read, or bytes were corrupted on the way"
      : "the seed's memory changed after it published, or was corrupted";
  return new WeightcastError(
    'ERR_CHECKSUM_MISMATCH',
    `${String(wrong)} of ${String(of)} tensors from ${peer} ${differ}, the first is ${first.name}; ${because}; pull from another seed`,
    { tensor: first.name, peer },
  );
}

function sumOf(tensors: readonly CatalogTensor[]): bigint {
  return tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n);
}

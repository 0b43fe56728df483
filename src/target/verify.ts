/** Checksums of what landed, against the seed's, or against those of a first read. */
import { checksums } from '../checksum.js';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import type { CatalogTensor } from './catalog.js';
import type { Placement } from './destinations/index.js';
import { sampleOf } from './sample.js';

export interface Verified {
  readonly algorithm: 'xxh3-64';
  readonly tensors: number;
  readonly bytes: bigint;
  /** Of these, bytes that the seed publishes no checksums of: they were read twice, and both reads compared. */
  readonly bytesReadTwice: bigint;
  /** Only a random part was compared, of so many tensors that could have been; absent where all were. */
  readonly sampleOf?: number;
}

/** How far, and for whom. */
export interface VerifyOptions {
  /** Only a sample. */
  readonly sampled: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (bytes: bigint, totalBytes: bigint) => void;
}

/**
 * Compares every tensor that has a checksum, or a sample of them.
 * @returns `undefined` when none has.
 * @throws ERR_CHECKSUM_MISMATCH naming the first tensor and how many differ, ERR_ABORTED.
 */
export async function verify(
  placement: Placement,
  peer: string,
  { sampled, signal, onProgress }: VerifyOptions,
): Promise<Verified | undefined> {
  throwIfAborted(signal, 'verify');
  const all = placement.tensors.flatMap((tensor, index) => {
    const at = placement.at[index];
    return tensor.checksum === undefined || at === undefined ? [] : [{ tensor, range: { ...at, bytes: tensor.bytes } }];
  });
  if (all.length === 0) return undefined;
  const rows = sampled ? sampleOf(all) : all;
  const tensors = rows.map((row) => row.tensor);
  try {
    const ranges = rows.map((row) => row.range);
    const sums = await checksums(placement.regions, ranges, signal, onProgress);
    const wrong = tensors.filter((tensor, index) => sums[index] !== tensor.checksum);
    if (wrong[0] !== undefined) throw mismatch(wrong[0], wrong.length, tensors.length, peer);
  } catch (error) {
    throw toWeightcastError(error, { doing: 'cannot verify what was read', peer });
  }
  const twice = tensors.filter((tensor) => tensor.readTwice === true);
  const verified = { algorithm: 'xxh3-64', tensors: tensors.length, bytes: sumOf(tensors), bytesReadTwice: sumOf(twice) } as const;
  return rows.length === all.length ? verified : { ...verified, sampleOf: all.length };
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

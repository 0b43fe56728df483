/** A first read of what the seed publishes no checksums of, so that the read that counts has something to be compared with. */
import type { Hashing } from '../checksum.js';
import { toWeightcastError } from '../errors.js';
import type { CatalogTensor } from './catalog.js';
import type { Placement } from './destinations/index.js';
import { wipe } from './wipe.js';

export interface FirstReadOptions {
  /** Reads all of a placement; nothing writes to it any more after it has settled. The checksums of all its tensors. */
  readonly readInto: (placement: Placement) => Promise<Hashing>;
  /** Runs what follows the read, and hears how far it is. */
  readonly phase: <T>(work: (onProgress: (bytes: bigint, totalBytes: bigint) => void) => Promise<T>) => Promise<T>;
  readonly peer: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Each tensor of the placement that has no checksum, with one. The memory is that of the read that counts, since a host may
 * not hold a model twice; it is wiped in between, so that a second read that brings nothing cannot pass for the first.
 * @throws what `readInto` throws, ERR_ABORTED.
 */
export async function firstRead(placement: Placement, options: FirstReadOptions): Promise<ReadonlyMap<CatalogTensor, CatalogTensor>> {
  const { readInto, phase, peer, signal } = options;
  const rows = placement.tensors.flatMap((tensor, index) => {
    const at = placement.at[index];
    return tensor.checksum !== undefined || at === undefined ? [] : [{ tensor, at, range: { ...at, bytes: tensor.bytes } }];
  });
  if (rows.length === 0) return new Map();
  const { regions } = placement;
  const hashing = await readInto({ tensors: rows.map((row) => row.tensor), at: rows.map((row) => row.at), regions });
  try {
    return await phase(async (onProgress) => {
      const ranges = rows.map((row) => row.range);
      const sums = await hashing.finish(signal, onProgress);
      await wipe(regions, ranges, signal);
      return new Map(rows.map(({ tensor }, index) => [tensor, { ...tensor, checksum: sums[index], readTwice: true }]));
    });
  } catch (error) {
    throw toWeightcastError(error, { doing: 'first of two reads', peer });
  }
}

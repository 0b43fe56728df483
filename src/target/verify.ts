/** Checksums of what landed, against the seed's. */
import { availableParallelism } from 'node:os';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import { native } from '../native.js';
import { settled } from '../native-task.js';
import type { Placement } from './destinations/index.js';

export interface Verified {
  readonly algorithm: 'xxh3-64';
  readonly tensors: number;
  readonly bytes: bigint;
}

/**
 * Compares every tensor that has a checksum.
 * @returns `undefined` when the seed published none.
 * @throws ERR_CHECKSUM_MISMATCH naming the first tensor and how many differ, ERR_ABORTED.
 */
export async function verify(
  placement: Placement,
  peer: string,
  signal: AbortSignal | undefined,
  onProgress: (bytes: bigint, totalBytes: bigint) => void,
): Promise<Verified | undefined> {
  throwIfAborted(signal, 'verify');
  const rows = placement.tensors.flatMap((tensor, index) => {
    const at = placement.at[index];
    return tensor.checksum === undefined || tensor.bytes === 0n || at === undefined ? [] : [{ tensor, at, checksum: tensor.checksum }];
  });
  if (rows.length === 0) return undefined;
  const task = native().checksum(
    placement.regions,
    Uint32Array.from(rows, (row) => row.at.region),
    BigUint64Array.from(rows, (row) => row.at.offset),
    BigUint64Array.from(rows, (row) => row.tensor.bytes),
    availableParallelism(),
  );
  try {
    const sums = await settled(task, signal, onProgress);
    const wrong = rows.filter((row, index) => sums[index] !== row.checksum);
    const [first] = wrong;
    if (first !== undefined) {
      throw new WeightcastError(
        'ERR_CHECKSUM_MISMATCH',
        `${String(wrong.length)} of ${String(rows.length)} tensors from ${peer} differ from its checksums, the first is ${first.tensor.name}; the seed's memory changed after it published, or was corrupted; pull from another seed`,
        { tensor: first.tensor.name, peer },
      );
    }
    const empty = placement.tensors.filter((tensor) => tensor.checksum !== undefined && tensor.bytes === 0n).length;
    return { algorithm: 'xxh3-64', tensors: rows.length + empty, bytes: rows.reduce((sum, row) => sum + row.tensor.bytes, 0n) };
  } catch (error) {
    throw toWeightcastError(error, { doing: 'cannot verify what was read', peer });
  }
}

// Weightcast's `pull` over one queue pair beside perftest's `ib_read_bw`, on one Soft-RoCE device in one boot.
import { measureBeside } from './one-rail/measure.mjs';

export const title = 'pull over RDMA beside ib_read_bw: reads of 1 MiB and of 64 KiB, 1 queue pair, 16 outstanding, rxe0 (Soft-RoCE)';

/** By bytes of a read: below this part of the peer's median the comparison fails. */
const LEAST_RATIOS = { [1024 * 1024]: 0.98, [64 * 1024]: 0.95 };

/** @returns {Promise<boolean>} whether the ratios of the medians are at least {@link LEAST_RATIOS} */
export function measure() {
  return measureBeside('perftest', {
    title,
    peer: 'ib_read_bw',
    runs: 7,
    leastRatios: LEAST_RATIOS,
    caveats: [
      'ib_read_bw reads one small buffer again and again, which flatters it; pull reads every byte of a model once and verifies it',
    ],
  });
}

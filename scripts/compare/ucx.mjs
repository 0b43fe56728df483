// Weightcast's `pull` over one queue pair beside UCX's get over rc_verbs, without a copy, on one Soft-RoCE device in one boot.
import { measureBeside } from './one-rail/measure.mjs';

export const title =
  'pull over RDMA beside UCX (get, zcopy, rc_verbs): reads of 1 MiB and of 64 KiB, 1 queue pair, 16 outstanding, rxe0 (Soft-RoCE)';

/** By bytes of a read: below this part of the peer's median the comparison fails. */
const LEAST_RATIOS = { [1024 * 1024]: 1, [64 * 1024]: 1 };

/** @returns {Promise<boolean>} whether the ratios of the medians are at least {@link LEAST_RATIOS} */
export function measure() {
  return measureBeside('ucx', {
    title,
    peer: 'ucx',
    runs: 5,
    leastRatios: LEAST_RATIOS,
    caveats: [
      'ucx_perftest reads one buffer again and again into another and compares nothing, which flatters it; pull reads every byte of a model once and verifies it',
    ],
  });
}

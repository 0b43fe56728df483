// Our reader beside Mooncake's own, out of one and the same Mooncake seed.
import { version } from './mooncake/peer.mjs';
import { measureRdma } from './mooncake/rdma.mjs';
import { measureTcp } from './mooncake/tcp.mjs';
import { versionOf } from './processes.mjs';
import { loadBefore, saveRecord } from './record.mjs';

export const title = `reading from a Mooncake ${version} seed beside Mooncake's own reader, over TCP and over RDMA (Soft-RoCE)`;

/**
 * @param {string} [only] `tcp` or `rdma`; default both
 * @returns {Promise<boolean>} whether every threshold holds
 */
export async function measure(only) {
  if (![undefined, 'tcp', 'rdma'].includes(only)) throw new Error(`compare: mooncake has the parts tcp and rdma, not '${only}'`);
  const loadAverageBefore = loadBefore();
  const tcp = only === 'rdma' ? undefined : await measureTcp();
  const rdma = only === 'tcp' ? undefined : await measureRdma();
  const holds = (tcp?.holds ?? true) && (rdma?.holds ?? true);
  saveRecord(`mooncake${only === undefined ? '' : `-${only}`}`, {
    title,
    unit: 'GB/s, 1 GB = 1e9 bytes',
    holds,
    loadAverageBefore,
    tcp,
    rdma,
    versions: { mooncake: version, qemu: versionOf('qemu-system-x86_64', '--version') },
    caveats: [
      'Soft-RoCE under emulation: of RDMA only ratios mean anything, not rates',
      'theirs is batch_transfer_sync_read, ours the data path of pull from the list of tensors to the last byte; both into registered memory, and verified after the clock stopped; over RDMA with connected queue pairs, over TCP with the connecting',
      'CPU seconds are of the reading process, with the part of Soft-RoCE that runs in its threads',
    ],
  });
  return holds;
}

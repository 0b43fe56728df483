// Our reader beside Mooncake's own, out of one and the same Mooncake seed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { root } from '../testing/shell.mjs';
import { version } from './mooncake-peer.mjs';
import { measureRdma } from './mooncake-rdma.mjs';
import { measureTcp } from './mooncake-tcp.mjs';
import { versionOf } from './processes.mjs';

export const title = `reading from a Mooncake ${version} seed beside Mooncake's own reader, over TCP and over RDMA (Soft-RoCE)`;

/** Above this load average, something else wants the processors. */
const QUIET_LOAD = 0.7;

/**
 * @param {string} [only] `tcp` or `rdma`; default both
 * @returns {Promise<boolean>} whether every threshold holds
 */
export async function measure(only) {
  if (![undefined, 'tcp', 'rdma'].includes(only)) throw new Error(`compare: mooncake has the parts tcp and rdma, not '${only}'`);
  const load = loadavg()[0];
  if (load > QUIET_LOAD) console.log(`this computer is busy (load average ${load.toFixed(1)}): the ratios will be noisy`);
  const tcp = only === 'rdma' ? undefined : await measureTcp();
  const rdma = only === 'tcp' ? undefined : await measureRdma();
  const holds = (tcp?.holds ?? true) && (rdma?.holds ?? true);
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? '';
  const weightcast = `${git('rev-parse', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}`;
  const file = path.join(root, `build/compare/mooncake${only === undefined ? '' : `-${only}`}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  const record = {
    schemaVersion: 1,
    comparison: 'mooncake',
    title,
    date: new Date().toISOString(),
    unit: 'GB/s, 1 GB = 1e9 bytes',
    holds,
    loadAverageBefore: load,
    tcp,
    rdma,
    versions: { mooncake: version, qemu: versionOf('qemu-system-x86_64', '--version'), weightcast },
    caveats: [
      'Soft-RoCE under emulation: of RDMA only ratios mean anything, not rates',
      'theirs is batch_transfer_sync_read, ours the data path of pull from the list of tensors to the last byte; both into registered memory, and verified after the clock stopped; over RDMA with connected queue pairs, over TCP with the connecting',
      'CPU seconds are of the reading process, with the part of Soft-RoCE that runs in its threads',
    ],
  };
  writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`\nevery run: ${path.relative(root, file)}`);
  return holds;
}

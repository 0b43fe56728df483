/** What `doctor` finds of accelerators, and how RDMA devices would get at their memory: a little of it is registered to find out. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceName } from '../../device/device.js';
import { climb } from '../../device/ladder.js';
import type { DevicePath, DirectPath } from '../../device/path.js';
import { toWeightcastError } from '../../errors.js';
import type { NativeAccelerators, NativeModule, NativeNic } from '../../native.js';
import { closeRails, openRails, type Rails } from '../../rails.js';
import { readAffinity, type Affinity } from '../../topology/index.js';

export interface AcceleratorReport extends NativeAccelerators {
  /** By accelerator, `cuda:0`; in the order of `accelerators`. */
  readonly ways: readonly AcceleratorWay[];
  /** How far they are from the RDMA devices. */
  readonly affinity: Affinity;
}

/** How all RDMA devices here together get at one accelerator's memory. */
export interface AcceleratorWay {
  readonly accelerator: string;
  /** `none`: its memory cannot even be had. */
  readonly path: DevicePath | 'none';
  /** Why not a better one; `''` when there is none better. */
  readonly reason: string;
}

/** A multiple of every page and of every granule that drivers allocate in. Bytes. */
const triedBytes = 2n << 20n;

/**
 * @param open the RDMA devices; replaced by tests.
 * @param root of the kernel's file systems; replaced by tests.
 */
export async function checkAccelerators(
  addon: NativeModule,
  open: () => Promise<OpenRails> = openedRails,
  root = '/',
): Promise<AcceleratorReport> {
  const found = await addon.listAccelerators();
  if (found.accelerators.length === 0) return { ...found, ways: [], affinity: { nics: [], accelerators: [] } };
  const rails = await open();
  const { nics, reason } = rails;
  try {
    const ways: AcceleratorWay[] = [];
    for (const accelerator of found.accelerators) {
      ways.push({ accelerator: deviceName(accelerator), ...(await wayTo(addon, accelerator, nics, reason)) });
    }
    const devices = nics.map((nic) => nic.device);
    return { ...found, ways, affinity: await readAffinity(devices, found.accelerators, root) };
  } finally {
    await closeRails(rails);
  }
}

type OpenRails = Pick<Rails, 'nics' | 'reason'>;

async function openedRails(): Promise<OpenRails> {
  try {
    return await openRails({ transport: 'auto' });
  } catch (error) {
    return { nics: [], reason: toWeightcastError(error).message };
  }
}

async function wayTo(
  addon: NativeModule,
  { kind, ordinal }: NativeAccelerators['accelerators'][number],
  nics: readonly NativeNic[],
  noRdma: string,
): Promise<Pick<AcceleratorWay, 'path' | 'reason'>> {
  try {
    const region = await addon.allocateOnDevice(kind, ordinal, triedBytes);
    try {
      if (nics.length === 0) return { path: 'staging', reason: noRdma };
      const { path, reason } = await climb('auto', async (way: DirectPath) => {
        for (const nic of nics) await (await nic.register(region, 0n, triedBytes, 'remote-read', way)).close();
      });
      return { path, reason };
    } finally {
      region.close();
    }
  } catch (error) {
    return { path: 'none', reason: toWeightcastError(error).message };
  }
}

const signs: readonly (readonly [string, string])[] = [
  ['proc/driver/nvidia/version', "NVIDIA's kernel driver"],
  ['sys/module/nvidia_peermem', 'nvidia_peermem'],
  ['sys/module/nv_peer_mem', 'nv_peer_mem'],
  ['sys/module/gdrdrv', 'gdrdrv'],
  ['dev/kfd', "AMD's kernel driver"],
];

/** What the kernel shows of accelerators, whether or not their drivers' libraries can be loaded. */
export async function acceleratorSigns(root = '/'): Promise<string[]> {
  const seen: string[] = [];
  for (const [path, name] of signs) {
    const there = await access(join(root, path)).then(
      () => true,
      () => false,
    );
    if (there) seen.push(name);
  }
  return seen;
}

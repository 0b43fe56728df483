/** What `auto` would do about RDMA here: the devices are opened as a seed opens them, and a little memory is pinned. */
import { toWeightcastError } from '../../errors.js';
import type { NativeModule } from '../../native.js';
import { closeRails, openRails } from '../../rails.js';

export interface RdmaCheck {
  /** Devices that were opened and took a registration. */
  readonly devices: readonly string[];
  readonly softwareDevices: readonly string[];
  /** Why there are none; `''` when there are. */
  readonly reason: string;
}

const pinnedBytes = 1n << 20n;

export async function checkRdma(addon: NativeModule): Promise<RdmaCheck> {
  try {
    const rails = await openRails({ transport: 'auto' });
    try {
      if (rails.nics.length === 0) return { devices: [], softwareDevices: [], reason: rails.reason };
      const region = await addon.allocate(pinnedBytes, 'never');
      try {
        for (const nic of rails.nics) await (await nic.register(region, 0n, pinnedBytes, 'remote-read', 'auto')).close();
      } finally {
        region.close();
      }
      return { devices: rails.nics.map((nic) => nic.device), softwareDevices: rails.softwareDevices, reason: '' };
    } finally {
      await closeRails(rails);
    }
  } catch (error) {
    return { devices: [], softwareDevices: [], reason: toWeightcastError(error).message };
  }
}

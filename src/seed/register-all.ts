/** What of the content is registered, in which ranges, and why nothing is. */
import { devicesOf, type DeviceMemory } from '../device/path.js';
import { WeightcastError, toWeightcastError } from '../errors.js';
import { silentLogger } from '../observe/logger.js';
import type { HostMemory } from '../locality.js';
import type { Rails } from '../rails.js';
import type { SeedContent } from './content.js';
import { layOut, type Layout } from './layout.js';
import type { SeedOptions } from './options.js';
import { register, type Registered } from './register.js';
import { stage } from './stage.js';

/** Ranges that can be read, and how. */
export interface Readable {
  readonly layout: Layout;
  /** `undefined`: not over RDMA. */
  readonly registered: Registered | undefined;
  /** Why not over RDMA; `''` when it is. */
  readonly reason: string;
  /** `undefined` where no weights were in the memory of an accelerator. */
  readonly deviceMemory: DeviceMemory | undefined;
}

/**
 * With `auto`, what keeps memory from being pinned makes this a TCP seed that says why; with `rdma` it is an error. Accelerators' memory that
 * NICs cannot read is replaced by a copy in host memory.
 * @throws what {@link register} throws; ERR_RDMA_UNAVAILABLE where a way was asked for that needs RDMA.
 */
export async function registerOn(
  rails: Rails,
  content: SeedContent,
  host: string,
  options: SeedOptions,
  memory: HostMemory,
): Promise<Readable> {
  const { logger = silentLogger, devicePath = 'auto', transport } = options;
  const devices = devicesOf(content.regions.map((region) => region.handle));
  const forced = devices.length > 0 && (devicePath === 'dma-buf' || devicePath === 'peer-memory');
  const without = async (reason: string): Promise<Readable> => {
    await stage(content, memory);
    const deviceMemory = staged(devices, devicePath === 'staging' ? '' : `only RDMA reads an accelerator's memory: ${reason}`);
    return { layout: layOut(content, [], host), registered: undefined, reason, deviceMemory };
  };
  if (rails.nics.length === 0) {
    if (forced) throw new WeightcastError('ERR_RDMA_UNAVAILABLE', `devicePath "${devicePath}" needs RDMA: ${rails.reason}`);
    return without(rails.reason);
  }
  try {
    if (devicePath === 'staging') await stage(content, memory);
    const layout = layOut(content, rails.nics, host);
    const registered = await register(rails.nics, content, layout.ranges, logger, devicePath, memory);
    const { climbed } = registered;
    const deviceMemory = climbed === undefined ? staged(devices, '') : { devices, ...climbed };
    return { layout, registered, reason: '', deviceMemory };
  } catch (error) {
    const ours = toWeightcastError(error);
    if (transport === 'rdma' || forced) throw ours;
    logger.warn('RDMA is not offered', { reason: ours.message });
    return without(ours.message);
  }
}

function staged(devices: readonly string[], reason: string): DeviceMemory | undefined {
  return devices.length === 0 ? undefined : { devices, path: 'staging', reason };
}

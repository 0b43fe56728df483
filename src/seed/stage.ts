/** Weights of accelerators as copies in host memory: what peers read where nothing reads an accelerator's memory itself. */
import { availableParallelism } from 'node:os';
import { toWeightcastError } from '../errors.js';
import type { HostMemory } from '../locality.js';
import { native } from '../native.js';
import type { Region } from '../region.js';
import type { SeedContent } from './content.js';

/** Puts a copy in the place of each region that is of an accelerator; who made the region closes it. @throws ERR_OUT_OF_MEMORY, ERR_ACCELERATOR. */
export async function stage({ regions }: Pick<SeedContent, 'regions'>, memory: HostMemory): Promise<void> {
  for (const [index, region] of regions.entries()) {
    if (region.device === undefined) continue;
    regions[index] = await copyOf(region, "cannot copy an accelerator's memory into the host's", memory);
  }
}

/** In anonymous memory of the host. */
export async function copyOf(region: Region, doing: string, memory: HostMemory): Promise<Region> {
  const copy = await memory.allocate(region.byteLength);
  try {
    await native().copyRegion(region.handle, copy.handle, availableParallelism());
  } catch (error) {
    copy.close();
    throw toWeightcastError(error, { doing });
  }
  return copy;
}

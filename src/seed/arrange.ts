/** The order in which a seed lists its NICs, and which of them peers should prefer for each accelerator's memory. */
import { firstRow } from '../handshake/index.js';
import { native } from '../native.js';
import type { Rails } from '../rails.js';
import { nearestTo, readAffinity, type Affinity } from '../topology/index.js';
import type { SeedContent } from './content.js';
import { locationOf } from './segment.js';

/** NICs in the order in which readers number them. */
export interface Arranged {
  readonly rails: Rails;
  /** By accelerator, `cuda:0`: names of the NICs that are nearest. Other places prefer all alike. */
  readonly preferred: ReadonlyMap<string, readonly string[]>;
}

/** @param read finds out the distances; replaced by tests. */
export async function arrange(rails: Rails, content: Pick<SeedContent, 'regions' | 'tensors'>, read = readHere): Promise<Arranged> {
  const regions = [...new Set(content.tensors.filter(({ bytes }) => bytes > 0n).map(({ region }) => content.regions[region]))];
  const locations = [...new Set(regions.map(locationOf))];
  const accelerators = [...new Set(regions.filter((region) => region?.handle.device !== undefined).map(locationOf))];
  if (accelerators.length === 0 || rails.nics.length < 2) return { rails, preferred: new Map() };
  const affinity = await read(rails.nics.map((nic) => nic.device));
  const preferred = new Map(accelerators.map((accelerator) => [accelerator, nearestTo(accelerator, affinity)]));
  return { rails: numbered(rails, preferred.get(firstRow(locations) ?? '')), preferred };
}

async function readHere(nics: readonly string[]): Promise<Affinity> {
  return readAffinity(nics, (await native().listAccelerators()).accelerators);
}

function numbered(rails: Rails, first: readonly string[] | undefined): Rails {
  if (first === undefined) return rails;
  const far = (index: number): boolean => !first.includes(rails.nics[index]?.device ?? '');
  const order = [...rails.nics.keys()].sort((a, b) => Number(far(a)) - Number(far(b)));
  return { ...rails, nics: order.flatMap((index) => rails.nics[index] ?? []), ports: order.flatMap((index) => rails.ports[index] ?? []) };
}

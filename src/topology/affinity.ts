/** Which RDMA devices are nearest to which accelerators. */
import { deviceName } from '../device/device.js';
import type { NativeAccelerator } from '../native.js';
import { distanceBetween, rankOf, type Distance } from './distance.js';
import { pciPlace, rdmaPlace } from './place.js';

/** RDMA devices × accelerators. */
export interface Affinity {
  /** RDMA devices, each once. */
  readonly nics: readonly string[];
  readonly accelerators: readonly AcceleratorDistances[];
}

/** One accelerator's row. */
export interface AcceleratorDistances {
  /** `cuda:0`. */
  readonly accelerator: string;
  /** To each of `nics`, in their order. */
  readonly distances: readonly Distance[];
}

/** @param root `/`, or a tree made by a test. */
export async function readAffinity(
  nics: readonly string[],
  accelerators: readonly Pick<NativeAccelerator, 'kind' | 'ordinal' | 'pciAddress'>[],
  root = '/',
): Promise<Affinity> {
  const names = [...new Set(nics)];
  const places = await Promise.all(names.map((name) => rdmaPlace(name, root)));
  const rows = accelerators.map(async (accelerator) => {
    const at = await pciPlace(accelerator.pciAddress, root);
    return { accelerator: deviceName(accelerator), distances: places.map((place) => distanceBetween(at, place)) };
  });
  return { nics: names, accelerators: await Promise.all(rows) };
}

/**
 * The RDMA devices that are equally near to one accelerator and nearer than all others; all, for what is no accelerator here.
 * @param among those that count; default all of the table.
 */
export function nearestTo(accelerator: string, affinity: Affinity, among: readonly string[] = affinity.nics): string[] {
  const ranks = among.map((nic) => rankOf(distanceOf(nic, accelerator, affinity)));
  const nearest = Math.min(...ranks);
  return among.filter((_, index) => ranks[index] === nearest);
}

/** How far a device is from an accelerator; `unknown` where either is not in the table. */
export function distanceOf(nic: string, accelerator: string, { nics, accelerators }: Affinity): Distance {
  return accelerators.find((each) => each.accelerator === accelerator)?.distances[nics.indexOf(nic)] ?? 'unknown';
}

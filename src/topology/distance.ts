/** How far two PCI devices are from each other, in the classes of `nvidia-smi topo`. */
import type { Place } from './place.js';

/**
 * Nearest first. `PIX`: one PCIe switch between them, at most; `PXB`: several; `PHB`: through a host bridge; `NODE`: from one host bridge to
 * another of the same NUMA node; `SYS`: to another NUMA node. `unknown`: one of them is no PCI device, or its node is not known.
 */
export const distances = ['PIX', 'PXB', 'PHB', 'NODE', 'SYS', 'unknown'] as const;

export type Distance = (typeof distances)[number];

/** The one that bytes between two ports of a switch pass: its upstream port, a downstream port and the device. */
const belowOneSwitch = 2;

export function distanceBetween(a: Place | undefined, b: Place | undefined): Distance {
  if (a === undefined || b === undefined) return 'unknown';
  const shared = sharedLength(a.path, b.path);
  if (shared === 0) {
    if (a.numaNode < 0 || b.numaNode < 0) return 'unknown';
    return a.numaNode === b.numaNode ? 'NODE' : 'SYS';
  }
  if (shared === 1) return 'PHB';
  const deepest = Math.max(a.path.length, b.path.length) - shared;
  return deepest <= belowOneSwitch ? 'PIX' : 'PXB';
}

/** For comparing: smaller is nearer. What is not known may be anywhere, and is as far as the farthest: neither is left out for the other. */
export function rankOf(distance: Distance): number {
  return Math.min(distances.indexOf(distance), distances.indexOf('SYS'));
}

function sharedLength(a: readonly string[], b: readonly string[]): number {
  const end = a.findIndex((name, index) => name !== b[index]);
  return end < 0 ? a.length : end;
}

/** Which local NIC reads from which remote NIC. */
import type { NativeNic } from '../native.js';
import { deviceIndex, usableDevices, type SegmentDescriptor } from '../handshake/index.js';

/** One local NIC and the remote NIC that it reads from. */
export interface RailPair {
  readonly nic: NativeNic;
  readonly remoteDevice: string;
  /** Of its key in every buffer's `remoteKeys`. */
  readonly remoteIndex: number;
}

/**
 * Pairs NICs one to one: the pairs whose GIDs share the longest prefix first, since they are the most likely to be on one
 * subnet, then equal device names, then order. One pair a NIC is enough to fill it; the rest of either side stays unused.
 */
export function pairRails(nics: readonly NativeNic[], descriptor: SegmentDescriptor): RailPair[] {
  const remote = usableDevices(descriptor).map((name) => ({ name, index: deviceIndex(descriptor, name) }));
  const candidates = nics
    .flatMap((nic) =>
      remote.map((device) => ({ nic, device, score: affinity(nic, device.name, descriptor.devices[device.index]?.gid ?? '') })),
    )
    .sort((a, b) => b.score - a.score);
  const pairs: RailPair[] = [];
  for (const { nic, device } of candidates) {
    if (pairs.some((pair) => pair.nic === nic || pair.remoteIndex === device.index)) continue;
    pairs.push({ nic, remoteDevice: device.name, remoteIndex: device.index });
  }
  return pairs;
}

function affinity(nic: NativeNic, remoteDevice: string, remoteGid: string): number {
  return commonPrefixBits(nic.gid, remoteGid) + (nic.device === remoteDevice ? 0.5 : 0);
}

/** Of two GIDs in text form, 16 hex pairs joined by ':'. */
export function commonPrefixBits(a: string, b: string): number {
  const left = a.split(':');
  const right = b.split(':');
  let bits = 0;
  for (const [index, part] of left.entries()) {
    const difference = Number.parseInt(part, 16) ^ Number.parseInt(right[index] ?? '', 16);
    if (difference !== 0 || Number.isNaN(difference)) return bits + (Number.isNaN(difference) ? 0 : Math.clz32(difference) - 24);
    bits += 8;
  }
  return bits;
}

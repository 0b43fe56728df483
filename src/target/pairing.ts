/** Which local NIC reads from which remote NIC. */
import type { NativeNic } from '../native.js';
import type { DeviceDescriptor, SegmentDescriptor } from '../handshake/index.js';

export interface RailPair {
  readonly nic: NativeNic;
  readonly remote: DeviceDescriptor;
  /** Position in the descriptor's `devices`, and so of its key in every buffer's `rkey`. */
  readonly remoteIndex: number;
}

/**
 * Pairs NICs one to one: the pairs whose GIDs share the longest prefix first, since they are the most likely to be on one
 * subnet, then equal device names, then order. One pair a NIC is enough to fill it; the rest of either side stays unused.
 * A remote device counts only if the priority matrix names it: others are placeholders that refuse a handshake.
 */
export function pairRails(nics: readonly NativeNic[], descriptor: SegmentDescriptor): RailPair[] {
  const named = new Set(Object.values(descriptor.priorityMatrix).flatMap(([preferred, others]) => [...preferred, ...others]));
  const usable = descriptor.devices.flatMap((remote, remoteIndex) => (named.has(remote.name) ? [{ remote, remoteIndex }] : []));
  const candidates = nics
    .flatMap((nic) => usable.map((device) => ({ nic, ...device, score: commonPrefixBits(nic.gid, device.remote.gid) + (nic.device === device.remote.name ? 0.5 : 0) })))
    .sort((a, b) => b.score - a.score);
  const pairs: RailPair[] = [];
  for (const { nic, remote, remoteIndex } of candidates) {
    if (pairs.some((pair) => pair.nic === nic || pair.remoteIndex === remoteIndex)) continue;
    pairs.push({ nic, remote, remoteIndex });
  }
  return pairs;
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

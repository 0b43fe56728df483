/** Which local NIC reads from which remote NIC. */
import type { NativeNic } from '../native.js';
import { deviceIndex, preferredBytes, usableDevices, type SegmentDescriptor } from '../handshake/index.js';
import { subnetBits } from './subnet.js';

/** One local NIC and the remote NIC that it reads from. */
export interface RailPair {
  readonly nic: NativeNic;
  readonly remoteDevice: string;
  /** Of its key in every buffer's `remoteKeys`. */
  readonly remoteIndex: number;
}

interface Candidate extends RailPair {
  readonly sameSubnet: boolean;
  /** Bytes that lie where the seed prefers this NIC of its. */
  readonly preferred: bigint;
  readonly sharedBits: number;
  readonly sameName: boolean;
}

/**
 * Pairs NICs one to one. First come pairs on one subnet, since others may not reach each other; then those with the seed's NICs that its
 * priority matrix prefers for most of its bytes; then GIDs that share the longest prefix, equal device names, and order. One pair a NIC is
 * enough to fill it; the rest of either side stays unused.
 * @param subnetOf bits of a GID that name its subnet; replaced by tests.
 */
export function pairRails(
  nics: readonly NativeNic[],
  descriptor: SegmentDescriptor,
  subnetOf: (gid: string) => number = subnetBits,
): RailPair[] {
  const preferred = preferredBytes(descriptor);
  const remote = usableDevices(descriptor).map((remoteDevice) => {
    const remoteIndex = deviceIndex(descriptor, remoteDevice);
    return { remoteDevice, remoteIndex, gid: descriptor.devices[remoteIndex]?.gid ?? '', preferred: preferred.get(remoteDevice) ?? 0n };
  });
  const candidates = nics.flatMap((nic) => {
    const subnet = subnetOf(nic.gid);
    return remote.map(({ gid, ...device }): Candidate => {
      const sharedBits = commonPrefixBits(nic.gid, gid);
      return { nic, ...device, sharedBits, sameSubnet: sharedBits >= subnet, sameName: nic.device === device.remoteDevice };
    });
  });
  const pairs: RailPair[] = [];
  for (const { nic, remoteDevice, remoteIndex } of candidates.sort(bestFirst)) {
    if (pairs.some((pair) => pair.nic === nic || pair.remoteIndex === remoteIndex)) continue;
    pairs.push({ nic, remoteDevice, remoteIndex });
  }
  return pairs;
}

function bestFirst(a: Candidate, b: Candidate): number {
  return (
    Number(b.sameSubnet) - Number(a.sameSubnet) ||
    Number(b.preferred > a.preferred) - Number(b.preferred < a.preferred) ||
    b.sharedBits - a.sharedBits ||
    Number(b.sameName) - Number(a.sameName)
  );
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

/** Which ranges a seed offers: short enough for its devices, and few enough that Mooncake's peers take its descriptor. */
import { encodeDescriptor, formatAddress, peerReadLimit } from '../handshake/index.js';
import type { NativeNic } from '../native.js';
import type { SeedContent } from './content.js';
import { mergeNearest, rangesOf, type ContentRange } from './ranges.js';
import { describeSegment, locationOf, type Segment } from './segment.js';

export interface Layout {
  readonly ranges: readonly ContentRange[];
  /** What was done beside the obvious, in a sentence; `''` for nothing. */
  readonly note: string;
}

/** Decimal digits of what mmap returns; a region that is copied gets such an address. */
const addressDigits = 15;
const largestPort = 65_535;
const largestKey = 0xffff_ffff;

/**
 * Ranges that hold exactly the tensors, unless their descriptor would be larger than what Mooncake's peers read: then ranges of
 * one region are merged, over the smallest gaps first, where that brings it below. Only in memory that a region owns: what lies
 * between two buffers of a program is not this seed's to give away.
 *
 * @param nics - of the offer; none: TCP only.
 * @throws as {@link rangesOf}.
 */
export function layOut(content: SeedContent, nics: readonly NativeNic[], host: string): Layout {
  const longest = nics.reduce<bigint | undefined>(
    (least, { maxRegionBytes }) => (least === undefined || maxRegionBytes < least ? maxRegionBytes : least),
    undefined,
  );
  const ranges = rangesOf(content.tensors, longest);
  const { fixed, cost } = frameCost(content, nics, host);
  const total = ranges.reduce((sum, range) => sum + cost(range), fixed);
  if (total <= peerReadLimit) return { ranges, note: '' };
  const mergeable = (region: number): boolean => !['adopted', 'device'].includes(content.regions[region]?.handle.kind ?? 'adopted');
  const merged = mergeNearest(ranges, { mergeable, longest, cost, budget: peerReadLimit - fixed });
  if (merged === undefined) return { ranges, note: '' };
  const note =
    `${String(ranges.length)} ranges of weights would make a segment descriptor of ${String(total)} bytes, and Mooncake peers read at ` +
    `most ${String(peerReadLimit)}: merged to ${String(merged.ranges.length)} ranges, with ${String(merged.gapBytes)} bytes between ` +
    `tensors that peers can read as well, at most ${String(merged.largestGap)} in one place`;
  return { ranges: merged.ranges, note };
}

/** Bytes of the descriptor's frame, at most: of it all without buffers, and of each buffer. */
function frameCost(
  { regions }: SeedContent,
  nics: readonly NativeNic[],
  host: string,
): { readonly fixed: number; readonly cost: (range: ContentRange) => number } {
  const bytes = (buffers: Segment['buffers']): number =>
    encodeDescriptor(describeSegment({ name: formatAddress(host, largestPort), nics, buffers, tcpDataPort: largestPort })).frameBytes;
  const locations = [...new Set(regions.map(locationOf))];
  // Over TCP alone nobody is told.
  const told = (location: string): number => (nics.length === 0 ? 0 : location.length);
  const smallest = (location: string): Segment['buffers'][number] => ({
    ...{ location, address: 1n, length: 1n },
    remoteKeys: nics.map(() => largestKey),
  });
  // A buffer with a comma, without its location and the one digit each of its address and its length.
  const each = bytes([smallest(''), smallest('')]) - bytes([smallest('')]) - 2;
  // With what the matrix says of each location.
  const fixed = bytes(locations.map(smallest)) - locations.reduce((sum, location) => sum + each + told(location) + 2, 0);
  const cost = ({ region, offset, length }: ContentRange): number => {
    const address = String((regions[region]?.address ?? 0n) + offset);
    return each + told(locationOf(regions[region])) + Math.max(addressDigits, address.length) + String(length).length;
  };
  return { fixed, cost };
}

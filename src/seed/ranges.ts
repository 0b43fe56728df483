/** The parts of regions that peers may read: each is registered, listed in the descriptor and served over TCP as one. */
import { WeightcastError } from '../errors.js';
import type { ContentTensor } from './content.js';

export interface ContentRange {
  /** Index into the content's regions. */
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: bigint;
  /** Bytes, > 0. */
  readonly length: bigint;
}

/**
 * The ranges that hold tensors, neighbours and overlaps merged. Exactly the published bytes, rounded by nothing, because a range
 * is readable by every peer that knows its key. Every tensor lies in one range as a whole: Mooncake's readers before 0.3.13 do
 * not split at the end of a range.
 *
 * @param longest - bytes that one range may have; where neighbours are more, the cut is between tensors.
 * @throws ERR_REGISTRATION for a tensor that is longer than that.
 */
export function rangesOf(tensors: readonly ContentTensor[], longest?: bigint): ContentRange[] {
  const sorted = tensors
    .filter((tensor) => tensor.bytes > 0n)
    .sort((a, b) => a.region - b.region || (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0));
  const ranges: { region: number; offset: bigint; length: bigint }[] = [];
  for (const { name, region, offset, bytes } of sorted) {
    if (longest !== undefined && bytes > longest) throw tooLong(name, bytes, longest);
    const last = ranges.at(-1);
    if (last?.region === region && offset <= last.offset + last.length) {
      const length = maximum(last.length, offset + bytes - last.offset);
      if (longest === undefined || length <= longest) {
        last.length = length;
        continue;
      }
    }
    ranges.push({ region, offset, length: bytes });
  }
  return ranges;
}

export interface MergeOptions {
  /** Regions in which the bytes between ranges may be given to peers. */
  readonly mergeable: (region: number) => boolean;
  /** Bytes that one range may have. */
  readonly longest: bigint | undefined;
  /** What a range costs. */
  readonly cost: (range: ContentRange) => number;
  /** What all may cost. */
  readonly budget: number;
}

/** Merged ranges and what lies between their parts. */
export interface Merged {
  readonly ranges: readonly ContentRange[];
  /** Bytes of no tensor that the ranges now hold. */
  readonly gapBytes: bigint;
  /** The largest single one. */
  readonly largestGap: bigint;
}

/**
 * Merges neighbours of one region, those with the smallest gaps first, until all cost no more than the budget.
 *
 * @param ranges - as {@link rangesOf} returns them.
 * @returns `undefined` when no merging brings the cost down to the budget.
 */
export function mergeNearest(ranges: readonly ContentRange[], options: MergeOptions): Merged | undefined {
  const { mergeable, longest, cost, budget } = options;
  let total = ranges.reduce((sum, range) => sum + cost(range), 0);
  const gaps = ranges
    .flatMap((right, index) => {
      const left = ranges[index - 1];
      if (left?.region !== right.region || !mergeable(right.region)) return [];
      return [{ index, bytes: right.offset - left.offset - left.length }];
    })
    .sort((a, b) => (a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : a.index - b.index));
  // Where a merged range begins and ends, kept at its first and at its last part.
  const first = ranges.map((_, index) => index);
  const last = ranges.map((_, index) => index);
  const current: (ContentRange | undefined)[] = [...ranges];
  let gapBytes = 0n;
  let largestGap = 0n;
  for (const gap of gaps) {
    if (total <= budget) break;
    const start = first[gap.index - 1] ?? 0;
    const end = last[gap.index] ?? 0;
    const left = current[start];
    const right = current[gap.index];
    if (left === undefined || right === undefined) continue;
    const length = maximum(left.length, right.offset + right.length - left.offset);
    if (longest !== undefined && length > longest) continue;
    const merged = { region: left.region, offset: left.offset, length };
    current[start] = merged;
    current[gap.index] = undefined;
    last[start] = end;
    first[end] = start;
    total += cost(merged) - cost(left) - cost(right);
    // Parts that were cut to be short enough may overlap.
    gapBytes += maximum(gap.bytes, 0n);
    largestGap = maximum(gap.bytes, largestGap);
  }
  if (total > budget) return undefined;
  return { ranges: current.filter((range) => range !== undefined), gapBytes, largestGap };
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function tooLong(tensor: string, bytes: bigint, longest: bigint): WeightcastError {
  return new WeightcastError(
    'ERR_REGISTRATION',
    `tensor ${tensor} has ${String(bytes)} bytes, but a device here registers at most ${String(longest)} as one region, and peers read ` +
      'a tensor from one region; leave the device out, or offer TCP',
    { tensor },
  );
}

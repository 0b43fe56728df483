import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ContentTensor } from '#src/seed/content.js';
import { mergeNearest, rangesOf, type ContentRange, type MergeOptions } from '#src/seed/ranges.js';

type Place = readonly [offset: number, bytes: number, region?: number];

function tensor([offset, bytes, region = 0]: Place, index: number): ContentTensor {
  return { name: `t${index}`, dtype: 'U8', shape: [bytes], bytes: BigInt(bytes), region, offset: BigInt(offset), file: -1, fileOffset: 0n };
}

function ranges(places: readonly Place[], longest?: bigint): number[][] {
  return rangesOf(places.map(tensor), longest).map(({ region, offset, length }) => [region, Number(offset), Number(length)]);
}

/** Each range costs 1. */
function merge(places: readonly Place[], budget: number, options: Partial<MergeOptions> = {}): number[][] | undefined {
  const merged = mergeNearest(rangesOf(places.map(tensor)), {
    mergeable: () => true,
    longest: undefined,
    cost: () => 1,
    budget,
    ...options,
  });
  return merged?.ranges.map(({ region, offset, length }) => [region, Number(offset), Number(length)]);
}

const places = fc.array(fc.tuple(fc.nat(300), fc.nat(40), fc.nat(2)), { maxLength: 40 });

describe('the ranges of a seed', () => {
  it('hold exactly the tensors, neighbours and overlaps as one', () => {
    const expected = [
      [0, 0, 30],
      [0, 31, 9],
      [1, 40, 5],
    ];
    assert.deepEqual(
      ranges([
        [31, 9],
        [10, 10],
        [20, 10],
        [0, 12],
        [15, 0],
        [40, 5, 1],
        [5, 3],
      ]),
      expected,
    );
  });

  it('are cut between tensors where a device registers no more at once', () => {
    assert.deepEqual(
      ranges(
        [
          [0, 6],
          [6, 4],
          [10, 4],
          [14, 6],
          [20, 1],
        ],
        10n,
      ),
      [
        [0, 0, 10],
        [0, 10, 10],
        [0, 20, 1],
      ],
    );
    // A tensor that begins inside of another one cannot be cut off it: its range begins there, too.
    assert.deepEqual(
      ranges(
        [
          [0, 8],
          [4, 10],
          [14, 1],
        ],
        10n,
      ),
      [
        [0, 0, 8],
        [0, 4, 10],
        [0, 14, 1],
      ],
    );
  });

  it('refuse a tensor that is too long for a device, by name', () => {
    assert.throws(
      () =>
        ranges(
          [
            [0, 5],
            [5, 11],
          ],
          10n,
        ),
      { code: 'ERR_REGISTRATION', tensor: 't1', message: /t1 has 11 bytes.*at most 10/ },
    );
  });

  it('hold every tensor as a whole and no other byte, whatever the tensors', () => {
    fc.assert(
      fc.property(places, fc.option(fc.integer({ min: 40, max: 90 })), (list, longest) => {
        const found = ranges(list, longest === null ? undefined : BigInt(longest));
        const covered = new Set<string>();
        for (const [region = 0, offset = 0, length = 0] of found) {
          if (longest !== null) assert.ok(length <= longest);
          for (let at = offset; at < offset + length; at++) covered.add(`${region}:${at}`);
        }
        const wanted = new Set<string>();
        for (const [offset, bytes, region] of list) {
          for (let at = offset; at < offset + bytes; at++) wanted.add(`${region}:${at}`);
          const whole = found.some(
            ([in_ = 0, start = 0, length = 0]) => in_ === region && start <= offset && offset + bytes <= start + length,
          );
          assert.ok(bytes === 0 || whole);
        }
        assert.deepEqual(covered, wanted);
      }),
    );
  });
});

describe('merging ranges', () => {
  const four: Place[] = [
    [0, 10],
    [14, 6],
    [22, 8],
    [100, 1],
    [0, 5, 1],
    [6, 5, 1],
  ];

  it('takes the smallest gaps first, within a region, and no more than are needed', () => {
    assert.deepEqual(merge(four, 6), [
      [0, 0, 10],
      [0, 14, 6],
      [0, 22, 8],
      [0, 100, 1],
      [1, 0, 5],
      [1, 6, 5],
    ]);
    assert.deepEqual(merge(four, 5), [
      [0, 0, 10],
      [0, 14, 6],
      [0, 22, 8],
      [0, 100, 1],
      [1, 0, 11],
    ]);
    assert.deepEqual(merge(four, 3), [
      [0, 0, 30],
      [0, 100, 1],
      [1, 0, 11],
    ]);
    assert.deepEqual(merge(four, 2), [
      [0, 0, 101],
      [1, 0, 11],
    ]);
  });

  it('is nothing when it does not help: no byte is given away for that', () => {
    assert.equal(merge(four, 1), undefined);
    assert.equal(merge(four, 4, { mergeable: (region) => region !== 0 }), undefined);
    assert.equal(merge(four, 3, { longest: 20n }), undefined);
  });

  it('leaves regions alone whose gaps are not to be read, and makes nothing longer than a device takes', () => {
    assert.deepEqual(merge(four, 5, { mergeable: (region) => region === 0 }), [
      [0, 0, 10],
      [0, 14, 16],
      [0, 100, 1],
      [1, 0, 5],
      [1, 6, 5],
    ]);
    assert.deepEqual(merge(four, 4, { longest: 20n }), [
      [0, 0, 10],
      [0, 14, 16],
      [0, 100, 1],
      [1, 0, 11],
    ]);
  });

  it('says how many bytes lie between', () => {
    const options = { mergeable: () => true, longest: undefined, cost: () => 1, budget: 3 };
    const merged = mergeNearest(rangesOf(four.map(tensor)), options);
    assert.deepEqual([merged?.gapBytes, merged?.largestGap], [7n, 4n]);
  });

  it('keeps every range inside of a merged one, whatever the tensors', () => {
    fc.assert(
      fc.property(places, fc.nat(20), (list, budget) => {
        const before = rangesOf(list.map(tensor));
        const merged = mergeNearest(before, { mergeable: () => true, longest: undefined, cost: () => 1, budget });
        const regions = new Set(before.map(({ region }) => region)).size;
        assert.equal(merged === undefined, budget < regions);
        if (merged === undefined) return;
        assert.equal(merged.ranges.length, Math.min(before.length, budget));
        const inside = (range: ContentRange): boolean =>
          merged.ranges.some(
            (each) =>
              each.region === range.region && each.offset <= range.offset && range.offset + range.length <= each.offset + each.length,
          );
        assert.ok(before.every(inside));
        const bytes = (all: readonly ContentRange[]): bigint => all.reduce((sum, { length }) => sum + length, 0n);
        assert.equal(bytes(merged.ranges), bytes(before) + merged.gapBytes);
      }),
    );
  });
});

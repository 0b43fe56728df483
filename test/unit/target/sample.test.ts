/** Samples of tensors: how many, which, and what they find. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleOf } from '#src/target/sample.js';

const rows = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

test('one in sixteen, at least sixteen, all of fewer', () => {
  for (const [count, expected] of [
    [0, 0],
    [1, 1],
    [16, 16],
    [17, 16],
    [256, 16],
    [257, 17],
    [100_000, 6250],
  ] as const) {
    const sample = sampleOf(rows(count));
    assert.equal(sample.length, expected, String(count));
    assert.equal(new Set(sample).size, expected, 'without repetition');
    assert.ok(sample.every((row) => row >= 0 && row < count));
  }
});

test('every row may be chosen, the first and the last too, and the list stays as it was', () => {
  const all = rows(40);
  assert.deepEqual(
    sampleOf(all, () => 0),
    rows(16),
  );
  assert.ok(sampleOf(all, () => 0.999_999).includes(39));
  const seen = new Set<number>();
  for (let round = 0; round < 200; round += 1) for (const row of sampleOf(all)) seen.add(row);
  assert.equal(seen.size, 40);
  assert.deepEqual(all, rows(40));
});

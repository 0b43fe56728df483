import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { median, quantile, spreadOf } from '#src/bench/statistics.js';

describe('the statistics of benchmarks', () => {
  it('has the middle value, or the mean of two', () => {
    assert.equal(median([3, 1, 20]), 3);
    assert.equal(median([10, 9, 1, 2]), 5.5);
    assert.deepEqual(spreadOf([5]), { min: 5, median: 5, max: 5 });
    assert.deepEqual(spreadOf([10, 9, 1]), { min: 1, median: 9, max: 10 });
  });

  it('takes quantiles that were measured: the nearest rank', () => {
    const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1);
    assert.equal(quantile(hundred, 0.5), 50);
    assert.equal(quantile(hundred, 0.99), 99);
    assert.equal(quantile(hundred, 1), 100);
    assert.equal(quantile(hundred, 0), 1);
    assert.equal(quantile(Float64Array.of(7, 8), 0.99), 8);
    assert.ok(Number.isNaN(quantile(new Float64Array(0), 0.5)));
  });
});

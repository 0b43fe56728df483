import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAge, formatBytes, formatCount, formatEta, formatMs, formatRate, formatTable } from '#src/cli/format.js';
import { printable, toJson } from '#src/cli/output.js';

describe('numbers', () => {
  it('bytes are decimal', () => {
    const cases: readonly (readonly [bigint | number, string])[] = [
      [0n, '0 B'],
      [999, '999 B'],
      [1000, '1.00 kB'],
      [999_994, '999.99 kB'],
      [999_996, '1.00 MB'],
      [256_000_000n, '256.00 MB'],
      [15_231_233_024n, '15.23 GB'],
      [2n ** 64n - 1n, '18446.74 PB'],
    ];
    for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  });

  it('rates are GB/s, and MB/s where that has more to say', () => {
    assert.equal(formatRate(49.018e9), '49.018 GB/s');
    assert.equal(formatRate(1e8), '0.100 GB/s');
    assert.equal(formatRate(85_140_000), '85.1 MB/s');
    assert.equal(formatRate(Number.NaN), '- GB/s');
  });

  it('times and counts', () => {
    assert.deepEqual([0.04, 9.94, 12.3, 999, 1234, 59_990, 125_400].map(formatMs), [
      '0.0 ms',
      '9.9 ms',
      '12 ms',
      '999 ms',
      '1.23 s',
      '59.99 s',
      '2 min 05 s',
    ]);
    assert.deepEqual([0, 6.2, 65, 3725].map(formatEta), ['0:00', '0:07', '1:05', '1:02:05']);
    assert.deepEqual([-5, 3000, 240_000, 7.2e6, 1e9].map(formatAge), ['0 s', '3 s', '4 min', '2 h', '12 d']);
    assert.equal(formatCount(1_234_567n), '1,234,567');
  });
});

describe('text', () => {
  it('tables have aligned columns and no blanks at the end', () => {
    assert.deepEqual(
      formatTable([
        ['a', 'bb', ''],
        ['aaa', 'b', 'c'],
      ]),
      ['a    bb', 'aaa  b   c'],
    );
  });

  it('of peers cannot drive the terminal', () => {
    assert.equal(printable('a\u001b[2Jb\nc\u009b'), 'a\\x1b[2Jb\\x0ac\\x9b');
    assert.equal(printable('Grüße 模型'), 'Grüße 模型');
  });

  it('JSON has bigints as numbers while that is exact', () => {
    assert.equal(toJson({ small: 5n, large: 2n ** 63n, none: undefined }), '{"small":5,"large":"9223372036854775808"}');
  });
});

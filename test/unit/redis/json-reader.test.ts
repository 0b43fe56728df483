import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { JsonReader } from '#src/metadata/stores/redis/json-reader.js';

const max = (1n << 64n) - 1n;

/** Reads any value with the reader alone. */
function readAny(json: JsonReader, text: string, at: { value: unknown }): void {
  const value = at.value;
  if (value === null) assert.equal(json.isNull(), true, text);
  else if (Array.isArray(value)) {
    json.openArray();
    for (const element of value as unknown[]) {
      assert.equal(json.element(), true, text);
      readAny(json, text, { value: element });
    }
    assert.equal(json.element(), false, text);
  } else if (typeof value === 'object') {
    json.openObject();
    for (const [key, member] of Object.entries(value)) {
      assert.equal(json.key(), key, text);
      readAny(json, text, { value: member });
    }
    assert.equal(json.key(), undefined, text);
  } else if (typeof value === 'string') assert.equal(json.string(), value, text);
  else if (typeof value === 'number') assert.equal(json.number(), value, text);
  else json.skip();
}

describe('the JSON of records', () => {
  it('is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, spaces) => {
        const text = JSON.stringify(value, undefined, spaces);
        const json = new JsonReader(text);
        readAny(json, text, { value: JSON.parse(text) as unknown });
        json.end();
        const skipping = new JsonReader(text);
        skipping.skip();
        skipping.end();
      }),
    );
  });

  it('keeps all digits of unsigned numbers in every form', () => {
    const forms: [string, bigint][] = [
      ['"18446744073709551615"', max],
      ['18446744073709551615', max],
      ['1.8446744073709552e19', max],
      ['"0"', 0n],
      ['"+7"', 7n],
      ['9007199254740993', 9007199254740993n],
      ['4096.0', 4096n],
      ['4.9', 4n],
      ['1E3', 1000n],
    ];
    for (const [text, value] of forms) assert.equal(new JsonReader(text).uint64(), value, text);
    for (const text of [
      '-1',
      '"-1"',
      '18446744073709551616',
      '"18446744073709551616"',
      '1e20',
      '-1.5',
      '""',
      '"1.5"',
      '"0x1"',
      'null',
      'true',
    ]) {
      assert.throws(() => new JsonReader(text).uint64(), SyntaxError, text);
    }
  });

  it('knows the ranges of integers', () => {
    assert.equal(new JsonReader(' -9223372036854775808').int64(), -(1n << 63n));
    assert.equal(new JsonReader('9223372036854775807').int64(), (1n << 63n) - 1n);
    for (const text of ['9223372036854775808', '1.0', '1e3', '"1"', '01x', '-', '9'.repeat(100_000)]) {
      assert.throws(() => {
        const json = new JsonReader(text);
        json.int64();
        json.end();
      }, SyntaxError);
    }
    assert.equal(new JsonReader('4294967295').integer(0, 0xffff_ffff), 0xffff_ffff);
    for (const text of ['-1', '4294967296', '1.5', '1e2']) {
      assert.throws(() => new JsonReader(text).integer(0, 0xffff_ffff), SyntaxError, text);
    }
  });

  it('turns arrays of numbers into bytes', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    assert.deepEqual(new JsonReader(JSON.stringify([...all], undefined, 1)).bytes(), all);
    assert.deepEqual(new JsonReader('[]').bytes(), Buffer.alloc(0));
    for (const text of ['[256]', '[-1]', '[1.5]', '[1,]', '[,1]', '[1 2]', '[1', '["1"]', '[[1]]', '{}', '[00000000256]']) {
      assert.throws(() => new JsonReader(text).bytes(), SyntaxError, text);
    }
  });

  it('refuses what is no JSON, and says where', () => {
    for (const text of [
      '{"a":1,}',
      '{,}',
      '{"a" 1}',
      '{a:1}',
      '[1,,2]',
      '"\u0001"',
      '"\\x"',
      '"open',
      '{',
      '[',
      'nul',
      '',
      '1 2',
      '+1',
      '.5',
    ]) {
      assert.throws(
        () => {
          const json = new JsonReader(text);
          json.skip();
          json.end();
        },
        SyntaxError,
        text,
      );
    }
    assert.throws(() => new JsonReader('{"a":}').skip(), /at character 5: expected a number, found "}"/);
    assert.throws(() => new JsonReader('['.repeat(100_000)).skip(), /at most 128 levels/);
  });

  it('makes text of escaped halves of surrogate pairs', () => {
    assert.equal(new JsonReader('"\\ud83d\\ude00 \\ud800 \\u0000"').string(), '\u{1f600} \ufffd \u0000');
  });
});

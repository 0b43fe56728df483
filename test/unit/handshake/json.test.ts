import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { WeightcastError } from '#src/errors.js';
import { type JsonValue, parseJson, stringifyCompact } from '#src/handshake/json.js';

const syntaxError = (error: unknown): boolean => error instanceof WeightcastError && error.code === 'ERR_PROTOCOL';

/** What the wire can carry: integers of 64 bits, either sign. Values that are exact as doubles are plain numbers. */
const integer = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
  .map((value) => (value >= -(2n ** 53n) && value <= 2n ** 53n && Number.isSafeInteger(Number(value)) ? Number(value) : value));
const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    fc.constant(null),
    fc.boolean(),
    integer,
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
    fc.string({ unit: 'binary' }),
    fc.array(tie('tree')),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('tree')) as fc.Arbitrary<JsonValue>,
  ),
}));

describe('JSON of handshake messages', () => {
  it('comes back as it was written, 64-bit integers included', () => {
    fc.assert(
      fc.property(tree, (value) => {
        // Through entries: fast-check's dictionaries may have no prototype.
        assert.deepEqual(normalised(parseJson(stringifyCompact(value))), normalised(value));
      }),
      { numRuns: 300 },
    );
  });

  it('agrees with JSON.parse on everything that JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 1, '\t'), (text, indent) => {
        const expected: unknown = JSON.parse(text);
        const actual = parseJson(JSON.stringify(expected, null, indent));
        assert.equal(JSON.stringify(actual, bigAsNumber), JSON.stringify(expected, minusZero));
      }),
      { numRuns: 300 },
    );
  });

  it('throws nothing but ERR_PROTOCOL, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => text.slice(0, -1)),
          fc.string({ unit: fc.constantFrom(...Array.from('{}[]",:\\u09-.eEtrfn ')) }),
        ),
        (text) => {
          let expected: unknown;
          try {
            expected = JSON.parse(text);
          } catch {
            assert.throws(() => parseJson(text), syntaxError);
            return;
          }
          assert.equal(JSON.stringify(parseJson(text), bigAsNumber), JSON.stringify(expected, minusZero));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('keeps integers exact up to 2^64 - 1 and rounds larger ones', () => {
    assert.equal(parseJson('9007199254740991'), 9007199254740991);
    assert.equal(parseJson('9007199254740993'), 9007199254740993n);
    assert.equal(parseJson('18446744073709551615'), 2n ** 64n - 1n);
    assert.equal(parseJson('-9223372036854775808'), -(2n ** 63n));
    assert.equal(parseJson('18446744073709551616'), 2 ** 64);
    assert.equal(parseJson('1'.repeat(400)), Infinity);
    assert.equal(stringifyCompact({ addr: 2n ** 64n - 1n }), '{"addr":18446744073709551615}');
  });

  it('writes compact ASCII with keys in byte order', () => {
    assert.equal(stringifyCompact({ b: [1, 2], a: { d: null, c: true } }), '{"a":{"c":true,"d":null},"b":[1,2]}');
    assert.equal(stringifyCompact('\u00e9\n"\ud83d\ude00'), '"\\u00e9\\n\\"\\ud83d\\ude00"');
    // As bytes U+FFFD (EF..) stands before U+1F600 (F0..); as UTF-16 units it would stand behind it.
    assert.equal(stringifyCompact({ '\ud83d\ude00': 1, '\ufffd': 2 }), '{"\\ufffd":2,"\\ud83d\\ude00":1}');
  });

  it('refuses numbers that JSON cannot carry', () => {
    assert.throws(() => stringifyCompact(NaN), { code: 'ERR_INVALID_ARGUMENT' });
    assert.throws(() => stringifyCompact([Infinity]), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('bounds depth and does not recurse into a stranger’s nesting', () => {
    assert.doesNotThrow(() => parseJson('['.repeat(32) + ']'.repeat(32)));
    assert.throws(() => parseJson('['.repeat(33) + ']'.repeat(33)), syntaxError);
    assert.throws(() => parseJson('['.repeat(1_000_000)), syntaxError);
    assert.throws(() => parseJson('{"a":'.repeat(1_000_000)), syntaxError);
  });

  it('does not let a key set the prototype', () => {
    const parsed = parseJson('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
    assert.equal(parsed['polluted'], undefined);
    assert.deepEqual(Object.keys(parsed), ['__proto__']);
  });

  it('says where the text is wrong', () => {
    assert.throws(() => parseJson('{"a":01}'), /character 5: expected a number without leading zeros/);
    assert.throws(() => parseJson('[1,]'), /character 3: expected a value, found "\]"/);
    assert.throws(() => parseJson('{"a" 1}'), /expected ':'/);
    assert.throws(() => parseJson('null x'), /expected the end of the text/);
    assert.throws(() => parseJson(''), /found the end/);
  });
});

function normalised(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(normalised);
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([key, member]) => [key, normalised(member)]));
}

const bigAsNumber = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
const minusZero = (_: string, value: unknown): unknown => (Object.is(value, -0) ? 0 : value);

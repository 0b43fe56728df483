import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { maxHeaderBytes, parseHeader } from '#src/model/safetensors.js';
import { bytesAt, failsWith, parse } from './support.js';

const file = 'file.safetensors';
const good = JSON.stringify(bytesAt(0, 4));

interface Case {
  readonly header: unknown;
  readonly dataBytes?: number;
  readonly message: RegExp;
  readonly tensor?: string;
}

const u8 = (fields: object): object => ({ a: { dtype: 'U8', shape: [4], data_offsets: [0, 4], ...fields } });
const raw = (fields: string): string => `{"a":{${fields}}}`;

const cases: Record<string, Case> = {
  'no text': { header: '', message: /expected an object at character 0, found the end/ },
  'no object': { header: '[]', message: /expected an object/ },
  'text after the object': { header: `{"a":${good}} x`, message: /text after the end/ },
  'zero bytes as padding': { header: `{"a":${good}}\0\0`, message: /text after the end/ },
  'a byte order mark': { header: `\ufeff{"a":${good}}`, message: /expected an object/ },
  'a trailing comma': { header: `{"a":${good},}`, message: /expected a string/ },
  'single quotes': { header: `{'a':${good}}`, message: /expected a string/ },
  'a name that does not end': { header: '{"a', message: /string does not end/ },
  'a name that ends in a backslash': { header: '{"a\\', message: /string does not end/ },
  'a raw line end in a name': { header: `{"a\nb":${good}}`, message: /control character/ },
  'an invalid escape': { header: `{"\\x41":${good}}`, message: /invalid escape/ },
  'a lone surrogate': { header: `{"\\ud800":${good}}`, message: /lone surrogate/ },
  'the same name twice': { header: `{"a":${good},"a":${good}}`, message: /duplicate key "a"/ },
  'the same name twice, once escaped': { header: `{"a":${good},"\\u0061":${good}}`, message: /duplicate key "a"/ },
  'the same field twice': {
    header: raw('"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]'),
    message: /duplicate key "dtype"/,
    tensor: 'a',
  },
  'two __metadata__': { header: `{"__metadata__":{},"__metadata__":{},"a":${good}}`, message: /duplicate key "__metadata__"/ },
  'metadata of other types': { header: `{"__metadata__":{"n":1},"a":${good}}`, message: /expected a string/ },
  'metadata as text': { header: `{"__metadata__":"pt","a":${good}}`, message: /expected an object/ },
  'a tensor that is a list': { header: '{"a":["U8",[4],[0,4]]}', message: /expected an object/, tensor: 'a' },
  'no dtype': { header: raw('"shape":[4],"data_offsets":[0,4]'), message: /lacks dtype/, tensor: 'a' },
  'no shape': { header: raw('"dtype":"U8","data_offsets":[0,4]'), message: /lacks shape/, tensor: 'a' },
  'no data_offsets': { header: raw('"dtype":"U8","shape":[4]'), message: /lacks data_offsets/, tensor: 'a' },
  'an unknown dtype': { header: u8({ dtype: 'Q4_K' }), message: /unknown dtype "Q4_K".*BF16/, tensor: 'a' },
  'a dtype in lower case': { header: u8({ dtype: 'u8' }), message: /unknown dtype "u8"/, tensor: 'a' },
  'a dtype that is a property name': { header: u8({ dtype: '__proto__' }), message: /unknown dtype/, tensor: 'a' },
  'a dtype that is a number': { header: u8({ dtype: 8 }), message: /expected a string/, tensor: 'a' },
  'a shape that is a number': { header: u8({ shape: 4 }), message: /expected an array/, tensor: 'a' },
  'a negative dimension': { header: u8({ shape: [-4] }), message: /whole number ≥ 0, got -4/, tensor: 'a' },
  'a fraction as dimension': { header: raw('"dtype":"U8","shape":[4.0],"data_offsets":[0,4]'), message: /got 4\.0/, tensor: 'a' },
  'an exponent as dimension': { header: raw('"dtype":"U8","shape":[4e0],"data_offsets":[0,4]'), message: /got 4e0/, tensor: 'a' },
  'a leading zero': { header: raw('"dtype":"U8","shape":[04],"data_offsets":[0,4]'), message: /expected "," or "\]"/, tensor: 'a' },
  'text as dimension': { header: u8({ shape: ['4'] }), message: /expected a number/, tensor: 'a' },
  'a dimension beyond 2^53': {
    header: raw('"dtype":"U8","shape":[9007199254740993,0],"data_offsets":[0,0]'),
    message: /2\^53/,
    tensor: 'a',
  },
  'a product that overflows': { header: u8({ shape: [2 ** 33, 2 ** 33] }), message: /2\^64/, tensor: 'a' },
  'a product that overflows before a zero': { header: u8({ shape: [2 ** 33, 2 ** 33, 0] }), message: /2\^64/, tensor: 'a' },
  'a million dimensions': { header: u8({ shape: Array(1_000_000).fill(1) }), message: /more than 1024 dimensions/, tensor: 'a' },
  'an element that ends inside of a byte': { header: u8({ dtype: 'F4', shape: [7] }), message: /byte boundary/, tensor: 'a' },
  'negative offsets': { header: u8({ data_offsets: [-4, 0] }), message: /whole number ≥ 0, got -4/, tensor: 'a' },
  'an offset beyond 2^64': {
    header: raw('"dtype":"U8","shape":[4],"data_offsets":[0,18446744073709551616]'),
    message: /exceeds 2\^64/,
    tensor: 'a',
  },
  'an offset of a million digits': {
    header: raw(`"dtype":"U8","shape":[4],"data_offsets":[0,1${'0'.repeat(1_000_000)}]`),
    message: /exceeds 2\^64/,
    tensor: 'a',
  },
  'an end of 2^64 - 1': {
    header: raw('"dtype":"U8","shape":[4],"data_offsets":[0,18446744073709551615]'),
    message: /has only 4/,
    tensor: 'a',
  },
  'offsets that end before they begin': { header: u8({ data_offsets: [4, 0] }), message: /end before they begin/, tensor: 'a' },
  'one offset': { header: u8({ data_offsets: [0] }), message: /1 numbers, not two/, tensor: 'a' },
  'three offsets': { header: u8({ data_offsets: [0, 4, 4] }), message: /more than two/, tensor: 'a' },
  'fewer bytes than the shape takes': { header: u8({ dtype: 'BF16' }), message: /hold 4 bytes, but BF16 \[4\] takes 8/, tensor: 'a' },
  'more bytes than the shape takes': { header: u8({ shape: [3] }), message: /hold 4 bytes, but U8 \[3\] takes 3/, tensor: 'a' },
  'a data section cut short': { header: u8({}), dataBytes: 3, message: /ends at byte 4 .* only 3.*cut short/, tensor: 'a' },
  'bytes that belong to nothing': { header: u8({}), dataBytes: 9, message: /5 bytes at the end .* belong to no tensor/ },
  'bytes without any tensor': { header: {}, dataBytes: 4, message: /4 bytes .* belong to no tensor/ },
  'a gap': { header: { a: bytesAt(0, 2), b: bytesAt(3, 4) }, message: /begins at byte 3, 1 bytes after tensor "a"/, tensor: 'b' },
  'a gap at the beginning': { header: { a: bytesAt(1, 4) }, message: /1 bytes after the beginning/, tensor: 'a' },
  'an overlap': { header: { a: bytesAt(0, 3), b: bytesAt(2, 4) }, message: /inside of tensor "a"/, tensor: 'b' },
  'two tensors on the same bytes': { header: { a: bytesAt(0, 4), b: bytesAt(0, 4) }, message: /inside of tensor "a"/, tensor: 'b' },
  'an empty tensor inside of another': { header: { a: bytesAt(0, 4), z: bytesAt(2, 2) }, message: /inside of tensor "a"/, tensor: 'z' },
  'nesting without end': { header: `{"a":{"x":${'['.repeat(5_000_000)}`, message: /deeper than 128/, tensor: 'a' },
  'a wrong literal in a field': { header: raw('"x":nul'), message: /expected a JSON value/, tensor: 'a' },
};

describe('refuses, naming the file and the tensor:', () => {
  for (const [name, { header, dataBytes = 4, message, tensor }] of Object.entries(cases)) {
    test(name, () => {
      assert.throws(() => parse(header, dataBytes), failsWith('ERR_MODEL_INVALID', message, { file, ...{ tensor: tensor as string } }));
    });
  }

  test('invalid UTF-8', () => {
    const header = Buffer.from(`{"a\xff":${good}}`, 'latin1');
    assert.throws(() => parseHeader(header, 4n, file), failsWith('ERR_MODEL_INVALID', /not valid UTF-8/, { file }));
  });

  test('a header beyond the limit', () => {
    const header = Buffer.alloc(maxHeaderBytes + 1, ' ');
    assert.throws(() => parseHeader(header, 4n, file), failsWith('ERR_MODEL_INVALID', /limit of 100000000/, { file }));
  });
});

test('a name of a megabyte is cut in the message', () => {
  const name = 'n'.repeat(1_000_000);
  assert.throws(
    () => parse({ [name]: 1 }, 0),
    (error: Error) => error.message.length < 500 && failsWith('ERR_MODEL_INVALID', /"n{119}…"/, { tensor: name })(error),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildHeader, lengthPrefix, parseHeader, placeTensors } from '#src/model/safetensors.js';
import { bytesAt, failsWith, parse } from './support.js';

test('reads names, dtypes, shapes and places, by offset', () => {
  const header = {
    __metadata__: { format: 'pt' },
    second: { dtype: 'F32', shape: [2, 2], data_offsets: [6, 22] },
    first: { dtype: 'BF16', shape: [3], data_offsets: [0, 6] },
  };
  assert.deepEqual(parse(header, 22), [
    { name: 'first', dtype: 'BF16', shape: [3], bytes: 6n, offset: 0n },
    { name: 'second', dtype: 'F32', shape: [2, 2], bytes: 16n, offset: 6n },
  ]);
});

test('empty tensors may share an offset with each other and with the tensor that begins there', () => {
  const header = { full: bytesAt(0, 4), z: bytesAt(4, 4), y: bytesAt(4, 4), first: bytesAt(0, 0) };
  assert.deepEqual(
    parse(header, 4).map(({ name }) => name),
    ['first', 'full', 'z', 'y'],
  );
});

test('scalars, no tensors at all, white space round the JSON, null metadata and unknown fields are valid', () => {
  assert.equal(parse({ s: { dtype: 'F64', shape: [], data_offsets: [0, 8] } }, 8)[0]?.bytes, 8n);
  assert.deepEqual(parse({}, 0), []);
  assert.equal(parse(` \n\t${JSON.stringify({ a: bytesAt(0, 1) })}\r\n   `, 1).length, 1);
  assert.equal(parse({ __metadata__: null, a: { ...bytesAt(0, 1), later: [{ x: -1.5e3 }, true, null] } }, 1).length, 1);
});

test('names that mean something to JavaScript are names like others', () => {
  const names = ['__proto__', 'constructor', 'hasOwnProperty', '', 'a"b\\c\n', 'Gewicht.é.重み.🤗'];
  const specs = names.map((name) => ({ name, dtype: 'U8' as const, shape: [2] }));
  const entries = placeTensors(specs);
  assert.deepEqual(parseHeader(buildHeader(entries), 12n, 'f'), entries);
});

test('headers are padded to where the data section must begin', () => {
  const entries = placeTensors([{ name: 'x', dtype: 'F16', shape: [1] }]);
  for (const alignment of [8, 64, 4096]) {
    const header = buildHeader(entries, { format: 'pt', note: 'é' }, alignment);
    assert.equal((8 + header.length) % alignment, 0);
    assert.deepEqual(parseHeader(header, 2n, 'f'), entries);
  }
  assert.equal(lengthPrefix(Buffer.alloc(258)).toString('hex'), '0201000000000000');
});

test('refuses to build what would not be read back', () => {
  const place = (...names: string[]) => placeTensors(names.map((name) => ({ name, dtype: 'U8', shape: [1] })));
  assert.throws(() => buildHeader(place('a', 'a')), failsWith('ERR_INVALID_ARGUMENT', /"a" cannot be the name/));
  assert.throws(() => buildHeader(place('__metadata__')), failsWith('ERR_INVALID_ARGUMENT', /reserved/));
  assert.throws(() => buildHeader(place('\ud800')), failsWith('ERR_INVALID_ARGUMENT', /well-formed/));
  assert.throws(() => buildHeader(place('a'), undefined, 12), failsWith('ERR_INVALID_ARGUMENT', /alignment but received 12/));
  assert.throws(() => placeTensors([{ name: 'a', dtype: 'F4', shape: [1] }]), failsWith('ERR_INVALID_ARGUMENT', /byte boundary/));
});

test('100 000 tensors are read in seconds', () => {
  const specs = Array.from({ length: 100_000 }, (_, index) => ({ name: `layers.${index}.weight`, dtype: 'BF16' as const, shape: [2, 4] }));
  const header = buildHeader(placeTensors(specs));
  const start = performance.now();
  assert.equal(parseHeader(header, 1_600_000n, 'f').length, 100_000);
  assert.ok(performance.now() - start < 20_000);
});

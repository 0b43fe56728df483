import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dtypeBits, dtypes, isDtype, parseDtype, tensorBytes, torchDtype } from '#src/model/dtypes.js';
import { failsWith } from './support.js';

test('knows the 22 dtypes of the format and no property names', () => {
  assert.equal(dtypes.length, 22);
  assert.ok(dtypes.every(isDtype));
  for (const text of ['bf16', 'F8', '', '__proto__', 'constructor', 'toString']) assert.equal(isDtype(text), false, text);
});

test('sizes of whole-byte dtypes', () => {
  assert.equal(tensorBytes('BF16', [3, 5]), 30n);
  assert.equal(tensorBytes('F8_E4M3', [7]), 7n);
  assert.equal(tensorBytes('F32', []), 4n);
  assert.equal(tensorBytes('C64', [2]), 16n);
  assert.equal(tensorBytes('BOOL', [0, 9]), 0n);
});

test('sizes of sub-byte dtypes end on a byte or are refused', () => {
  assert.equal(tensorBytes('F4', [2, 3]), 3n);
  assert.equal(tensorBytes('F6_E2M3', [4]), 3n);
  assert.equal(tensorBytes('F6_E3M2', [8]), 6n);
  assert.throws(() => tensorBytes('F4', [3]), failsWith('ERR_INVALID_ARGUMENT', /byte boundary/));
  assert.throws(() => tensorBytes('F6_E3M2', [3]), failsWith('ERR_INVALID_ARGUMENT', /byte boundary/));
});

test('sizes beyond 2^53 are exact', () => {
  assert.equal(tensorBytes('U8', [2 ** 30, 2 ** 29, 3]), 3n * 2n ** 59n);
  assert.equal(tensorBytes('U8', [2 ** 30 - 1, 2 ** 30 + 1]), 2n ** 60n - 1n);
});

test('refuses shapes and dtypes that have no size', () => {
  assert.throws(() => tensorBytes('U8', [2 ** 32, 2 ** 32]), failsWith('ERR_INVALID_ARGUMENT', /2\^64/));
  assert.throws(() => tensorBytes('F64', [2 ** 53 - 1, 2 ** 9]), failsWith('ERR_INVALID_ARGUMENT', /of F64 exceed 2\^64 - 1 bits/));
  assert.throws(() => tensorBytes('U8', [2 ** 40, 2 ** 40, 0]), failsWith('ERR_INVALID_ARGUMENT', /2\^64/));
  for (const dimension of [-1, 1.5, Number.NaN, Infinity, 2 ** 53]) {
    assert.throws(() => tensorBytes('U8', [dimension]), failsWith('ERR_INVALID_ARGUMENT', /dimension/));
  }
  assert.throws(() => tensorBytes('Q4_K', [1]), failsWith('ERR_INVALID_ARGUMENT', /unknown dtype "Q4_K"/));
});

test('torch names go back and forth', () => {
  assert.equal(torchDtype('BF16'), 'torch.bfloat16');
  assert.equal(torchDtype('F8_E4M3'), 'torch.float8_e4m3fn');
  assert.equal(torchDtype('F6_E2M3'), undefined);
  assert.equal(torchDtype('nonsense'), undefined);
  for (const dtype of dtypes) {
    const name = torchDtype(dtype);
    if (name !== undefined) assert.equal(parseDtype(name), dtype);
    assert.equal(parseDtype(dtype), dtype);
  }
});

test('reads the spellings in use, and nothing else', () => {
  for (const text of ['bfloat16', 'BF16', 'bf16', 'torch.bfloat16', 'TORCH.BFLOAT16']) assert.equal(parseDtype(text), 'BF16', text);
  for (const text of ['half', 'float16', 'f16']) assert.equal(parseDtype(text), 'F16', text);
  for (const text of ['', 'torch.', 'auto', 'torch.torch.half', 'bfloat16 ']) assert.equal(parseDtype(text), undefined, text);
});

test('bits multiply to the bytes of eight elements', () => {
  for (const dtype of dtypes) assert.equal(tensorBytes(dtype, [8]), BigInt(dtypeBits(dtype)), dtype);
});

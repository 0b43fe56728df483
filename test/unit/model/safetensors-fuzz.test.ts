import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WeightcastError } from '#src/errors.js';
import { dtypes, type Dtype } from '#src/model/dtypes.js';
import { parseIndex } from '#src/model/model-index.js';
import { buildHeader, parseHeader, placeTensors, type TensorSpec } from '#src/model/safetensors.js';

/** Runs a parser; whatever it makes of its input, only our error may come out. */
function onlyOurErrors(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof WeightcastError && error.code === 'ERR_MODEL_INVALID') return false;
    throw error;
  }
}

const anyDtype = fc.constantFrom(...dtypes);
/** The last dimension is a multiple of 4, so that every dtype ends on a byte. */
const shape = fc
  .tuple(fc.array(fc.nat(5), { maxLength: 3 }), fc.nat(3))
  .map(([outer, quarter]): readonly number[] => [...outer, quarter * 4]);
const specs: fc.Arbitrary<TensorSpec[]> = fc.uniqueArray(
  fc.record({ name: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'toString', '')), dtype: anyDtype, shape }),
  { selector: ({ name }) => name, maxLength: 20 },
);

test('what is built is read back', () => {
  fc.assert(
    fc.property(specs, fc.constantFrom(8, 64, 4096), fc.dictionary(fc.string(), fc.string()), (list, alignment, metadata) => {
      const named = list.filter(({ name }) => name !== '__metadata__');
      const entries = placeTensors(named);
      const end = entries.reduce((sum, { bytes }) => sum + bytes, 0n);
      const header = buildHeader(entries, metadata, alignment);
      const byName = (a: TensorSpec, b: TensorSpec): number => (a.name < b.name ? -1 : 1);
      assert.deepEqual(parseHeader(header, end, 'f').sort(byName), [...entries].sort(byName));
    }),
  );
});

test('random bytes are refused or read, nothing else', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.bigInt(0n, 100n),
      (bytes, data) => void onlyOurErrors(() => parseHeader(Buffer.from(bytes), data, 'f')),
    ),
  );
});

test('random JSON is refused or read, nothing else', () => {
  fc.assert(
    fc.property(fc.json(), fc.bigInt(0n, 100n), (json, data) => {
      onlyOurErrors(() => parseHeader(Buffer.from(json), data, 'f'));
      onlyOurErrors(() => parseIndex(Buffer.from(json), 'f'));
    }),
  );
});

test('what is accepted covers the data exactly, however header and data were damaged', () => {
  let accepted = 0;
  const number = fc.oneof(fc.nat(16), fc.constantFrom(-1, 0.5, 2 ** 53, 2 ** 64));
  const tensor = fc.record({
    dtype: fc.constantFrom<Dtype | 'X'>('U8', 'U8', 'F4', 'BF16', 'X'),
    shape: fc.array(number, { maxLength: 2 }),
    data_offsets: fc.tuple(number, number),
  });
  const honest = fc.array(fc.nat(4), { maxLength: 4 }).map((sizes) => {
    let end = 0;
    return Object.fromEntries(
      sizes.map((size, index) => [`t${index}`, { dtype: 'U8', shape: [size], data_offsets: [end, (end += size)] }]),
    );
  });
  fc.assert(
    fc.property(honest, fc.dictionary(fc.string({ maxLength: 3 }), tensor, { maxKeys: 1 }), fc.nat(16), (base, damage, dataBytes) => {
      const header = Buffer.from(JSON.stringify({ ...base, ...damage }));
      const read = onlyOurErrors(() => {
        let end = 0n;
        for (const { offset, bytes } of parseHeader(header, BigInt(dataBytes), 'f')) {
          assert.equal(offset, end);
          end += bytes;
        }
        assert.equal(end, BigInt(dataBytes));
      });
      if (read) accepted++;
    }),
    { numRuns: 2000 },
  );
  assert.ok(accepted > 0, 'no header of 2000 was valid: the generator tests nothing');
});

test('one changed byte of a valid header never escapes as another error', () => {
  const header = buildHeader(
    placeTensors([
      { name: 'model.weight', dtype: 'BF16', shape: [2, 3] },
      { name: 'b', dtype: 'F32', shape: [] },
    ]),
    { format: 'pt' },
  );
  fc.assert(
    fc.property(fc.nat(header.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(header);
      changed[at] = value;
      onlyOurErrors(() => parseHeader(changed, 16n, 'f'));
    }),
    { numRuns: 3000 },
  );
});

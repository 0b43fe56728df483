import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ModelManifestPart, type TensorColumns } from '#src/gen/weightcast/seed.js';
import { ManifestAssembler, manifestParts } from '#src/metadata/worker/manifest-parts.js';
import type { ManifestTensor, ModelManifest } from '#src/metadata/worker/model-manifest.js';
import { fromColumns, toColumns } from '#src/metadata/worker/tensor-columns.js';

/** Over the wire, message by message. */
function through(manifest: ModelManifest): ModelManifest {
  const assembler = new ManifestAssembler();
  for (const part of manifestParts(manifest)) assembler.add(ModelManifestPart.decode(ModelManifestPart.encode(part).finish()));
  return assembler.finish();
}

const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const tensorRows: fc.Arbitrary<ManifestTensor[]> = fc.array(
  fc.record(
    {
      name: fc.string({ unit: 'grapheme' }),
      dtype: fc.constantFrom('BF16', 'F8_E4M3', 'I64', ''),
      shape: fc.option(fc.array(fc.maxSafeNat(), { maxLength: 5 }), { nil: undefined }),
      bytes: uint64,
      checksum: fc.option(uint64, { nil: undefined }),
      file: fc.constantFrom(-1, 0),
      offset: uint64,
      elementSize: fc.integer({ min: 1, max: 16 }),
    },
    { noNullPrototype: true, requiredKeys: ['name', 'dtype', 'shape', 'bytes', 'checksum', 'file', 'offset'] },
  ),
);

function manyTensors(count: number): ManifestTensor[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `t${String(index)}`,
    dtype: 'BF16',
    shape: [index, 2],
    bytes: BigInt(index) * 4n,
    checksum: BigInt(index),
    file: -1,
    offset: 0n,
  }));
}

describe('a model manifest', () => {
  it('comes back from the wire as it went', () => {
    fc.assert(
      fc.property(tensorRows, fc.uint8Array({ maxLength: 64 }), uint64, (tensors, header, dataBytes) => {
        const manifest: ModelManifest = {
          weightFiles: [{ name: 'model.safetensors', header: Buffer.from(header), dataBytes }],
          modelFiles: [{ name: 'config.json', size: 5n, sha256: 'ab' }],
          tensors,
        };
        assert.deepEqual(through(manifest), manifest);
      }),
    );
  });

  it('cuts long headers and long lists', () => {
    const header = Buffer.alloc(700_000, 'x');
    const manifest: ModelManifest = {
      weightFiles: [
        { name: 'a', header, dataBytes: 1n },
        { name: 'empty', header: Buffer.alloc(0), dataBytes: 0n },
      ],
      modelFiles: [],
      tensors: manyTensors(10_000),
    };
    const parts = [...manifestParts(manifest)];
    assert.deepEqual(
      parts.map(({ part }) => part?.$case),
      ['start', 'weightFile', 'headerChunk', 'headerChunk', 'headerChunk', 'weightFile', 'tensors', 'tensors', 'tensors'],
    );
    assert.ok(parts.every((part) => ModelManifestPart.encode(part).finish().length < 512 * 1024));
    assert.deepEqual(through(manifest), manifest);
  });

  const whole = {
    weightFiles: [{ name: 'a', header: Buffer.from('{}'), dataBytes: 1n }],
    modelFiles: [{ name: 'c', size: 1n, sha256: '' }],
    tensors: manyTensors(2),
  };
  const broken = (expected: RegExp, change: (parts: ModelManifestPart[]) => ModelManifestPart[]): void => {
    const assembler = new ManifestAssembler();
    const assemble = (): void => {
      for (const part of change([...manifestParts(whole)])) assembler.add(part);
      assembler.finish();
    };
    assert.throws(assemble, { code: 'ERR_PROTOCOL', message: expected });
  };

  it('that was cut short is refused, wherever', () => {
    const count = [...manifestParts(whole)].length;
    for (let kept = 0; kept < count; kept++) broken(/came where|it is empty/, (parts) => parts.slice(0, kept));
  });

  it('out of order or inconsistent is refused', () => {
    broken(/before the start/, (parts) => parts.slice(1));
    broken(/second start/, (parts) => [...parts.slice(0, 1), ...parts]);
    broken(/before any weight file/, ([start, , chunk]) => [start!, chunk!]);
    broken(/longer than announced/, (parts) => [...parts.slice(0, 3), parts[2]!]);
    broken(/has 100000001 bytes/, ([start]) => [
      start!,
      { part: { $case: 'weightFile', value: { name: 'a', dataBytes: 0n, headerBytes: 100_000_001n } } },
    ]);
    const elsewhere = toColumns([{ ...whole.tensors[0]!, file: 1 }]);
    broken(/is in file 1 of 1/, (parts) => [...parts.slice(0, -1), { part: { $case: 'tensors', value: elsewhere } }]);
  });

  it('skips parts of later versions', () => {
    const assembler = new ManifestAssembler();
    for (const part of [...manifestParts(whole), { part: undefined }]) assembler.add(part);
    assert.deepEqual(assembler.finish(), whole);
  });
});

describe('columns of tensors', () => {
  it('of unequal length or pointing nowhere are refused', () => {
    const good = toColumns(manyTensors(3));
    assert.equal(fromColumns(good).length, 3);
    const columns = ['dtypes', 'dtype', 'rank', 'dimension', 'bytes', 'file', 'offset', 'checksum'] as const;
    for (const column of columns) {
      const short = { ...good, [column]: good[column].slice(1) };
      assert.throws(() => fromColumns(short), { code: 'ERR_PROTOCOL' }, `${column} short`);
      if (column === 'dtypes') continue; // a dictionary may hold more than is used
      const long: TensorColumns = { ...good, [column]: [...good[column], ...good[column].slice(0, 1)] };
      assert.throws(() => fromColumns(long), { code: 'ERR_PROTOCOL' }, `${column} long`);
    }
    assert.throws(() => fromColumns({ ...good, elementSize: [2] }), { code: 'ERR_PROTOCOL' });
    assert.throws(() => fromColumns({ ...good, dimension: good.dimension.map(() => 1n << 53n) }), { code: 'ERR_PROTOCOL' });
  });

  it('have no checksum column when no tensor has one', () => {
    const bare = manyTensors(3).map((tensor) => ({ ...tensor, checksum: undefined }));
    const columns = toColumns(bare);
    assert.deepEqual([columns.checksum, columns.withoutChecksum], [[], []]);
    assert.deepEqual(fromColumns(columns), bare);
  });
});

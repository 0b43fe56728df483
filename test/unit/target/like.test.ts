/** What a checkpoint's headers make of tensors whose source says neither dtype nor shape. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { generateModel } from '#src/model/generate.js';
import { makeCatalog, type PublishedTensor } from '#src/target/catalog.js';
import type { Source } from '#src/target/discovery/discovery.js';
import { dressed, openCheckpoint } from '#src/target/like.js';
import { temporaryFolder } from '../../support/cluster.js';

const specs = [
  { name: 'a', dtype: 'BF16', shape: [4, 8] },
  { name: 'b', dtype: 'F32', shape: [] },
  { name: 'c', dtype: 'F4', shape: [2, 6] },
  { name: 'd', dtype: 'I64', shape: [0, 7] },
] as const;
const sizes: Readonly<Record<string, bigint>> = { a: 64n, b: 4n, c: 6n, d: 0n };

const dir = join(await temporaryFolder(), 'checkpoint');
await generateModel(dir, specs, { maxFileBytes: 64 });
await writeFile(join(dir, 'README.md'), 'stays');
const like = await openCheckpoint(dir, undefined);

/** Bytes of an element as SGLang says them. */
const elementSizes: Readonly<Record<string, number>> = { a: 2, b: 4, c: 1, d: 8 };

function published(changes: Readonly<Record<string, Partial<PublishedTensor>>> = {}, names = Object.keys(sizes)): PublishedTensor[] {
  return names.map((name, index) => ({
    name,
    addr: BigInt(4096 * (index + 1)),
    size: sizes[name] ?? 3n,
    dtype: '',
    ...(elementSizes[name] !== undefined && { elementSize: elementSizes[name] }),
    ...changes[name],
  }));
}

function sourceOf(tensors: readonly PublishedTensor[]): Source {
  return {
    sourceId: '',
    workerId: '',
    rank: 0,
    peer: '10.0.0.5:15000',
    catalog: makeCatalog('10.0.0.5:15000', tensors, undefined),
    accelerator: '',
    fetchFile: undefined,
    lease: undefined,
    notes: ['first'],
    unchanged: () => Promise.resolve(true),
  };
}

describe('a source that has exactly the tensors of a checkpoint', () => {
  it('gets dtypes, shapes and files, with addresses and sizes of its own', async () => {
    const { catalog, notes, fetchFile } = dressed(sourceOf(published({}, ['d', 'b', 'a', 'c'])), like);
    assert.deepEqual(
      catalog.tensors.map(({ name, dtype, shape, address }) => ({ name, dtype, shape, address })),
      [
        { name: 'd', dtype: 'I64', shape: [0, 7], address: 4096n },
        { name: 'b', dtype: 'F32', shape: [], address: 8192n },
        { name: 'a', dtype: 'BF16', shape: [4, 8], address: 12288n },
        { name: 'c', dtype: 'F4', shape: [2, 6], address: 16384n },
      ],
    );
    assert.equal(catalog.weightFiles.length, 2);
    assert.ok(catalog.tensors.every(({ file }) => file >= 0));
    const names = ['config.json', 'generation_config.json', 'model.safetensors.index.json', 'tokenizer.json'];
    assert.deepEqual(
      catalog.modelFiles.map((file) => file.name),
      names,
    );
    assert.deepEqual(notes, ['first', `the files beside the weights are those of ${dir}: ${names.join(', ')}`]);
    assert.ok(fetchFile);
    for (const { name, size } of catalog.modelFiles) {
      let bytes = 0;
      for await (const chunk of fetchFile(name)) bytes += chunk.length;
      assert.equal(BigInt(bytes), size, name);
    }
  });

  it('agrees with what it says itself', () => {
    const { catalog } = dressed(sourceOf(published({ a: { dtype: 'torch.bfloat16', shape: [4, 8] } })), like);
    assert.equal(catalog.tensors[0]?.dtype, 'BF16');
  });
});

describe('a source with other tensors', () => {
  it('keeps those that the checkpoint lacks as they are, and says how many and which', () => {
    const names = ['a', 'x1', 'x2', 'x3', 'x4', 'b', 'c', 'd'];
    const { catalog, notes, fetchFile } = dressed(sourceOf(published({}, names)), like);
    assert.deepEqual(catalog.tensors.map(({ dtype, shape, file }) => ({ dtype, flat: shape === undefined, file })).slice(0, 2), [
      { dtype: 'BF16', flat: false, file: -1 },
      { dtype: '', flat: true, file: -1 },
    ]);
    assert.deepEqual(notes, ['first', `the checkpoint ${dir} lacks 4 of the tensors: x1, x2, x3, …`]);
    assert.deepEqual([catalog.weightFiles, catalog.modelFiles, fetchFile], [[], [], undefined]);
  });

  it('says which of the checkpoint it lacks', () => {
    const { catalog, notes } = dressed(sourceOf(published({}, ['a', 'b'])), like);
    assert.deepEqual(notes, ['first', 'the source lacks 2 of the tensors: d, c']);
    assert.deepEqual(catalog.weightFiles, []);
    assert.deepEqual(catalog.tensors[1]?.shape, []);
  });
});

describe('a source that is not of the same model', () => {
  const bad: readonly (readonly [changes: Parameters<typeof published>[0], code: string, says: RegExp])[] = [
    [{ a: { size: 62n } }, 'ERR_TENSOR_SIZE', /tensor a is 62 bytes at 10\.0\.0\.5:15000, but 64 bytes in the checkpoint/],
    [{ a: { elementSize: 4 } }, 'ERR_TENSOR_DTYPE', /of 4 byte\(s\) an element at .*, but BF16, of 2 byte\(s\) an element in/],
    [{ c: { elementSize: 2 } }, 'ERR_TENSOR_DTYPE', /tensor c is of 2 byte\(s\)/],
    [{ a: { dtype: 'F16' } }, 'ERR_TENSOR_DTYPE', /tensor a is F16 at .*, but BF16 in/],
    [{ a: { dtype: 'BF16', shape: [8, 4] } }, 'ERR_TENSOR_SHAPE', /\[8, 4\] at .*, but \[4, 8\] in/],
  ];
  for (const [changes, code, says] of bad) {
    it(`is ${code}: ${JSON.stringify(changes, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}`, () => {
      assert.throws(() => dressed(sourceOf(published(changes)), like), { code, message: says, tensor: Object.keys(changes ?? {})[0] });
    });
  }
});

describe('a checkpoint', () => {
  it('that is not there or none is an error of its own', async () => {
    await assert.rejects(openCheckpoint(join(dir, 'nowhere'), undefined), { code: 'ERR_NOT_FOUND' });
    await assert.rejects(openCheckpoint(join(dir, 'config.json'), undefined), { code: 'ERR_MODEL_INVALID' });
    const aborted = AbortSignal.abort();
    await assert.rejects(openCheckpoint(dir, aborted), { code: 'ERR_ABORTED' });
  });
});

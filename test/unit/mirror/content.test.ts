import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anyMemory } from '#src/locality.js';
import { contentOf, placed } from '#src/mirror/content.js';
import { MirrorMemory } from '#src/mirror/memory.js';
import { buildHeader, placeTensors } from '#src/model/safetensors.js';
import { Region } from '#src/region.js';
import { openModelFile } from '#src/seed/content.js';
import { descriptorsOf, manifestOf } from '#src/seed/manifest.js';
import { rangesOf } from '#src/seed/ranges.js';
import type { Catalog, CatalogTensor } from '#src/target/catalog.js';

/** Of a peer that publishes names, addresses and sizes. */
function bare(name: string, address: bigint, bytes: bigint): CatalogTensor {
  return { name, address, bytes, dtype: '', shape: undefined, checksum: 7n, file: -1, fileOffset: 0n };
}

/** Two weight files of odd sizes, and three tensors in none, of which the address order is another than the list's. */
function mixed(): Catalog {
  const specs = [
    [{ name: 'a', dtype: 'U8', shape: [5] } as const, { name: 'b', dtype: 'F16', shape: [3] } as const],
    [{ name: 'c', dtype: 'U8', shape: [4097] } as const],
  ];
  const weightFiles = specs.map((tensors, file) => {
    const entries = placeTensors(tensors);
    const dataBytes = entries.reduce((sum, entry) => sum + entry.bytes, 0n);
    return { name: `file-${String(file)}`, header: buildHeader(entries), dataBytes, entries };
  });
  const filed = weightFiles.flatMap(({ entries }, file) =>
    entries.map(({ offset, ...entry }, index): CatalogTensor => ({
      ...entry,
      address: 1n << 20n,
      checksum: BigInt(index),
      file,
      fileOffset: offset,
    })),
  );
  const [a, b, c] = filed;
  assert.ok(a && b && c);
  const tensors = [bare('z', 900n, 7n), a, bare('x', 100n, 3n), c, b, bare('empty', 0n, 0n)];
  return { peer: 'p:1', tensors, weightFiles, modelFiles: [], bytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n) };
}

describe('the layout of a mirror', () => {
  test('has files as they are and the rest without gaps, in address order: one range each', async () => {
    const catalog = mixed();
    const { offsets, bytes } = placed(catalog);
    assert.deepEqual(offsets, [12291n, 0n, 12288n, 4096n, 5n, 12288n]);
    assert.equal(bytes, 12298n);
    using region = await Region.allocate(1n);
    const content = contentOf(catalog, region, offsets, new Map());
    assert.deepEqual(
      rangesOf(content.tensors).map(({ offset, length }) => [offset, length]),
      [
        [0n, 11n],
        [4096n, 4097n],
        [12288n, 10n],
      ],
    );
  });

  test('of many bare tensors is one range, whatever their sizes', async () => {
    const tensors = Array.from({ length: 10_000 }, (_, index) => bare(`t${String(index)}`, BigInt(index) << 12n, BigInt(index % 4096)));
    const catalog = { peer: 'p:1', tensors, weightFiles: [], modelFiles: [], bytes: 0n };
    const { offsets } = placed(catalog);
    using region = await Region.allocate(1n);
    const content = contentOf(catalog, region, offsets, new Map());
    assert.equal(rangesOf(content.tensors).length, 1);
  });
});

test('what a mirror publishes is what the source did', async () => {
  const catalog = mixed();
  const { offsets, bytes } = placed(catalog);
  const region = await Region.allocate(bytes);
  const files = new Map([['config.json', Buffer.from('{}')]]);
  const content = contentOf(catalog, region, offsets, files);
  const manifest = await manifestOf(content, content.checksums);
  assert.deepEqual(
    manifest.tensors.map(({ name, dtype, shape, checksum, file, offset }) => [name, dtype, shape, checksum, file, offset]),
    catalog.tensors.map(({ name, dtype, shape, checksum, file, fileOffset }) => [name, dtype, shape, checksum, file, fileOffset]),
  );
  assert.deepEqual(
    manifest.weightFiles.map(({ name, header }) => [name, header]),
    catalog.weightFiles.map(({ name, header }) => [name, header]),
  );
  const sha256 = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
  assert.deepEqual(manifest.modelFiles, [{ name: 'config.json', size: 2n, sha256 }]);
  assert.equal(openModelFile(content, 'tokenizer.json'), undefined);
  const chunks: Buffer[] = [];
  for await (const chunk of (await openModelFile(content, 'config.json')) ?? []) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), '{}');
  const descriptors = descriptorsOf(content);
  for (const [index, { name, addr, size, dtype }] of descriptors.entries()) {
    const tensor = catalog.tensors[index];
    assert.deepEqual([name, size, dtype], [tensor?.name, tensor?.bytes, tensor?.dtype]);
    assert.equal(addr, size === 0n ? 0n : region.address + (offsets[index] ?? 0n));
  }
  content.close();
  assert.throws(() => region.view(), { code: 'ERR_CLOSED' });
});

test('files beside the weights that are too large for memory are refused before anything is allocated', async () => {
  const file = (name: string, size: bigint) => ({ name, size, sha256: '' });
  const announced = async (modelFiles: Catalog['modelFiles']): Promise<unknown> =>
    new MirrorMemory().prepare({ ...mixed(), modelFiles }, anyMemory);
  await assert.rejects(announced([file('small', 1n), file('tokenizer.json', (64n << 20n) + 1n)]), {
    code: 'ERR_PROTOCOL',
    message: /p:1 announces tokenizer\.json with 67108865 bytes/,
    file: 'tokenizer.json',
  });
  const many = Array.from({ length: 17 }, (_, index) => file(`f${String(index)}`, 64n << 20n));
  await assert.rejects(announced(many), { code: 'ERR_PROTOCOL', message: /17 files .* 1140850688 bytes in all/ });
});

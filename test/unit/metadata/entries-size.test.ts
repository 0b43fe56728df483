import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TensorDescriptor } from '#src/gen/model_express/p2p.js';
import { entriesSize } from '#src/metadata/wire/entries-size.js';
import { encodeEntries } from '#src/metadata/wire/tensor-entries.js';

const numbers = [0n, 1n, 127n, 128n, 16_383n, 16_384n, (1n << 32n) - 1n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n];
const texts = ['', 'a', 'é', '層.重み', 'x'.repeat(127), 'x'.repeat(128), 'y'.repeat(20_000)];

test('the size of a list is that of its encoding', async () => {
  const every = numbers.flatMap((number, index) =>
    texts.map((name): TensorDescriptor => {
      const other = numbers[(index * 3 + name.length) % numbers.length] ?? 0n;
      return { name, addr: number, size: other, deviceId: Number(other & 0xffff_ffffn), dtype: texts[index % 3] ?? '' };
    }),
  );
  for (const tensor of every) assert.equal(entriesSize([tensor]), (await encodeEntries([tensor])).length, JSON.stringify(tensor.name));
  assert.equal(entriesSize(every), (await encodeEntries(every)).length);
  assert.equal(entriesSize([]), 0);
});

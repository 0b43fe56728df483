import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hashingOf, type Hashing } from '#src/checksum.js';
import { Region } from '#src/region.js';
import type { CatalogTensor } from '#src/target/catalog.js';
import type { Placement } from '#src/target/destinations/index.js';
import { firstRead } from '#src/target/first-read.js';
import { comparisonOf, verify } from '#src/target/verify.js';
import { wipe } from '#src/target/wipe.js';

function tensor(name: string, bytes: bigint, checksum?: bigint): CatalogTensor {
  return { name, address: 0n, bytes, dtype: 'U8', shape: [Number(bytes)], checksum, file: -1, fileOffset: 0n };
}

function hashing(tensors: readonly CatalogTensor[], at: Placement['at'], regions: Placement['regions']): Hashing {
  return hashingOf(
    regions,
    tensors.map(({ bytes }, index) => ({ ...(at[index] ?? { region: 0, offset: 0n }), bytes })),
  );
}

const phase = <T>(work: (onProgress: () => void) => Promise<T>): Promise<T> => work(() => undefined);

describe('reading twice', () => {
  /** Reads 1, 2, 3, … into `length` bytes at 10, once; then does what `second` says; what verification finds. */
  async function readTwice(second: (memory: Uint8Array) => void): Promise<Awaited<ReturnType<typeof verify>>> {
    using region = await Region.allocate(100n);
    const memory = region.view();
    memory.fill(0xee);
    const tensors = [tensor('known', 10n, 0n), tensor('bare', 30n), tensor('empty', 0n)];
    const placement = { tensors, at: [0n, 10n, 40n].map((offset) => ({ region: 0, offset })), regions: [region.handle] };
    const bytes = Uint8Array.from({ length: 30 }, (_, index) => index + 1);
    const asked: string[][] = [];
    const known = await firstRead(placement, {
      readInto: async ({ tensors: read, at, regions }) => {
        asked.push(read.map(({ name }) => name));
        memory.set(bytes, 10);
        return hashing(read, at, regions);
      },
      phase,
      peer: 'p:1',
      signal: undefined,
    });
    assert.deepEqual(asked, [['bare', 'empty']], 'what has a checksum is read once');
    assert.ok(memory.subarray(10, 40).every((byte) => byte === 0));
    assert.ok(memory.subarray(0, 10).every((byte) => byte === 0xee) && memory.subarray(40).every((byte) => byte === 0xee));
    second(memory);
    const options = { peer: 'p:1', signal: undefined, onProgress: () => undefined };
    const checked = { ...placement, tensors: tensors.slice(1).map((one) => known.get(one) ?? one), at: placement.at.slice(1) };
    return await verify(checked, comparisonOf(checked, 'all'), hashing(checked.tensors, checked.at, checked.regions), options);
  }

  test('the same bytes are verified, those of no tensor and of no bytes too', async () => {
    const verified = await readTwice((memory) =>
      memory.set(
        Uint8Array.from({ length: 30 }, (_, index) => index + 1),
        10,
      ),
    );
    assert.deepEqual(verified, { algorithm: 'xxh3-64', tensors: 2, bytes: 30n, bytesWhileReading: 0n, bytesReadTwice: 30n });
  });

  test('other bytes, or none, are a mismatch', async () => {
    const expected = { code: 'ERR_CHECKSUM_MISMATCH', message: /1 of 2 tensors from p:1 differ between two reads, the first is bare/ };
    await assert.rejects(
      readTwice((memory) =>
        memory.set(
          Uint8Array.from({ length: 30 }, (_, index) => (index === 29 ? 0 : index + 1)),
          10,
        ),
      ),
      expected,
    );
    await assert.rejects(
      readTwice(() => undefined),
      expected,
    );
  });
});

test('wiping crosses pieces, and touches nothing beside the ranges', async () => {
  using region = await Region.allocate(200n << 20n);
  const memory = region.view();
  memory.fill(1);
  const end = 150n << 20n;
  const ranges = [
    { region: 0, offset: 5n, bytes: 3n },
    { region: 0, offset: 8n, bytes: end },
    { region: 0, offset: 0n, bytes: 0n },
  ];
  await wipe([region.handle], ranges, undefined);
  assert.deepEqual(
    [4, 5, 7, 8, 100 << 20, Number(end) + 7, Number(end) + 8].map((at) => memory[at]),
    [1, 0, 0, 0, 0, 0, 1],
  );
  assert.equal(memory.indexOf(1, 5), Number(end) + 8);
  const aborted = AbortSignal.abort();
  await assert.rejects(wipe([region.handle], ranges, aborted), { code: 'ERR_ABORTED' });
});

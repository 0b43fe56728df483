import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { native, type NativeRegion } from '#src/native.js';
import { faultOf, filledRegion } from './support.js';

function sums(regions: NativeRegion[], rows: [region: number, offset: bigint, length: bigint][], threads = 2): Promise<BigUint64Array> {
  return native().checksum(
    regions,
    Uint32Array.from(rows, (row) => row[0]),
    BigUint64Array.from(rows, (row) => row[1]),
    BigUint64Array.from(rows, (row) => row[2]),
    threads,
  ).done;
}

describe('checksums', () => {
  it('are XXH3-64 with seed 0, by its published vectors', async () => {
    const text = new TextEncoder().encode('abc');
    const region = native().adoptBuffer(text.buffer, text.byteOffset, text.byteLength);
    assert.deepEqual(
      [
        ...(await sums(
          [region],
          [
            [0, 0n, 0n],
            [0, 0n, 3n],
            [0, 3n, 0n],
          ],
        )),
      ],
      [0x2d06800538d394c2n, 0x78af5f94892f3950n, 0x2d06800538d394c2n],
    );
    region.close();
  });

  it('come in the order of the rows, whatever their sizes and threads', async () => {
    const a = await filledRegion(5n << 20n, 51);
    const b = await filledRegion(1n << 20n, 52);
    const rows: [number, bigint, bigint][] = [
      [1, 0n, 1n << 20n],
      [0, 1n, 3n],
      [0, 0n, 5n << 20n],
      [1, 7n, 100_000n],
      [0, 5n << 20n, 0n],
    ];
    const alone = await Promise.all(rows.map((row) => sums([a, b], [row], 1)));
    assert.deepEqual(
      await sums([a, b], rows, 4),
      BigUint64Array.from(alone, (one) => one[0] ?? 0n),
    );
    assert.equal(new Set(alone.map((one) => one[0])).size, rows.length);
    a.close();
    b.close();
  });

  it('refuse ranges outside of regions', async () => {
    const region = await filledRegion(4096n, 53);
    await assert.rejects(sums([region], [[0, 0n, 4097n]]), faultOf('OUT_OF_RANGE'));
    await assert.rejects(sums([region], [[0, 2n ** 64n - 1n, 2n]]), faultOf('OUT_OF_RANGE'));
    await assert.rejects(sums([region], [[1, 0n, 1n]]), faultOf('OUT_OF_RANGE'));
    assert.throws(
      () => native().checksum([region], Uint32Array.of(0), BigUint64Array.of(), BigUint64Array.of(1n), 1),
      faultOf('INVALID_ARGUMENT', /unequal length/),
    );
    region.close();
  });

  it('are cancelled early, and count meanwhile', async () => {
    const bytes = 1n << 30n;
    const region = await native().allocate(bytes, 'never');
    const task = native().checksum([region], Uint32Array.of(0), BigUint64Array.of(0n), BigUint64Array.of(bytes), 1);
    assert.equal(task.progress().totalBytes, bytes);
    task.cancel();
    await assert.rejects(task.done, faultOf('CANCELLED'));
    assert.ok(task.progress().bytes < bytes);
    region.close();
  });
});

/** Checksums that are computed behind a transfer's lanes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { native, type NativeOutcome, type NativeRegion, type NativeTransferOptions } from '#src/native.js';
import { connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

type Row = readonly [offset: bigint, length: bigint];

/** Rows of a region, read to where they are in `into`, over two lanes. */
async function read(from: NativeRegion, into: NativeRegion, rows: readonly Row[], wanted: Uint8Array): Promise<NativeOutcome> {
  const server = await serve(from);
  const options: NativeTransferOptions = {
    ...wholeRegion(from, into, [await connect(server), await connect(server)]),
    remoteAddress: BigUint64Array.from(rows, ([offset]) => from.address + offset),
    length: BigUint64Array.from(rows, ([, length]) => length),
    localOffset: BigUint64Array.from(rows, ([offset]) => offset),
    region: new Uint32Array(rows.length),
    checksums: { rows: wanted, threads: 2 },
  };
  const outcome = await native().startTransfer(options).done;
  await server.close();
  return outcome;
}

describe('checksums behind a transfer', () => {
  const bytes = 12n << 20n;
  // Large, of several slices; small, many in one; of one byte; of none.
  const rows: readonly Row[] = [
    [5n << 20n, 7n << 20n],
    ...Array.from({ length: 500 }, (_, index): Row => [BigInt(index) * 9000n, index % 7 === 0 ? 1n : 9000n]),
    [77n, 0n],
  ];

  it('are those of the rows that were asked for', async () => {
    const from = await filledRegion(bytes, 71);
    const into = await native().allocate(bytes, 'never');
    const wanted = Uint8Array.from(rows, (_, row) => (row % 5 === 3 ? 0 : 1));
    const { fault, follower } = await read(from, into, rows, wanted);
    assert.equal(fault, undefined);
    assert.ok(follower);
    const expected = await native().checksum(
      [from],
      new Uint32Array(rows.length),
      BigUint64Array.from(rows, ([offset]) => offset),
      BigUint64Array.from(rows, ([, length]) => length),
      2,
    ).done;
    const total = rows.reduce((sum, [, length], row) => sum + (wanted[row] === 0 ? 0n : length), 0n);
    const task = follower.finish(2);
    assert.deepEqual(
      await task.done,
      expected.map((sum, row) => (wanted[row] === 0 ? 0n : sum)),
    );
    assert.deepEqual(task.progress(), { bytes: total - follower.hashedBytes, totalBytes: total - follower.hashedBytes });
    assert.throws(() => follower.finish(2), faultOf('CLOSED'));
    from.close();
    into.close();
  });

  it('need the memory that was read into, and keep none', async () => {
    const from = await filledRegion(bytes, 72);
    const into = await native().allocate(bytes, 'never');
    const { follower } = await read(from, into, rows, new Uint8Array(rows.length).fill(1));
    assert.ok(follower);
    assert.throws(() => follower.finish(0), faultOf('INVALID_ARGUMENT', /threads/));
    into.close();
    await assert.rejects(follower.finish(1).done, faultOf('CLOSED', /memory/));
    from.close();
  });

  it('are not there after a transfer that failed, or that was not asked for any', async () => {
    const from = await filledRegion(1n << 20n, 73);
    const into = await native().allocate(1n << 20n, 'never');
    const server = await serve(from);
    const whole = wholeRegion(from, into, [await connect(server)]);
    assert.equal((await native().startTransfer(whole).done).follower, undefined);
    const transfer = native().startTransfer({
      ...wholeRegion(from, into, [await connect(server)]),
      remoteAddress: BigUint64Array.of(16n),
      bufferAddress: BigUint64Array.of(16n),
      checksums: { rows: Uint8Array.of(1), threads: 1 },
    });
    const { fault, follower } = await transfer.done;
    assert.ok(fault);
    assert.equal(follower, undefined);

    const lane = await connect(server);
    const wrong: [unknown, ReturnType<typeof faultOf>][] = [
      [{ rows: Uint8Array.of(1, 1), threads: 1 }, faultOf('INVALID_ARGUMENT', /unequal length/)],
      [{ rows: Uint32Array.of(1), threads: 1 }, faultOf('INVALID_ARGUMENT', /Uint8Array for options.checksums.rows/)],
      [{ rows: Uint8Array.of(1), threads: 0 }, faultOf('INVALID_ARGUMENT', /threads/)],
      [true, faultOf('INVALID_ARGUMENT', /options.checksums/)],
    ];
    for (const [checksums, expected] of wrong) {
      const options = { ...wholeRegion(from, into, [lane]), checksums } as NativeTransferOptions;
      assert.throws(() => native().startTransfer(options), expected);
    }
    await lane.close();
    from.close();
    into.close();
    await server.close();
  });
});

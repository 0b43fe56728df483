import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { native, type NativeTransferOptions } from '#src/native.js';
import { bytesOf, connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

/** Small and large ranges of `total` bytes, in another order locally than remotely, over `regions` local regions. */
function shuffledRanges(total: number, regions: number): { remote: number; local: number; region: number; length: number }[] {
  const ranges: { remote: number; local: number; region: number; length: number }[] = [];
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state % below;
  };
  for (let remote = 0; remote < total;) {
    const length = Math.min(total - remote, random(10) === 0 ? 1 + random(300_000) : 1 + random(3000));
    ranges.push({ remote, local: 0, region: random(regions), length });
    remote += length;
  }
  const order = ranges.map((range) => ({ range, key: random(2 ** 31) })).sort((a, b) => a.key - b.key);
  const fill = new Array<number>(regions).fill(0);
  for (const { range } of order) {
    range.local = fill[range.region] ?? 0;
    fill[range.region] = range.local + range.length;
  }
  return ranges;
}

describe('a transfer over TCP', () => {
  for (const merge of [true, false]) {
    it(`brings shuffled small ranges of 8 MiB over three lanes, byte for byte (merge ${String(merge)})`, async () => {
      const total = 8 << 20;
      const from = await filledRegion(BigInt(total), 31);
      const into = await Promise.all([0, 1].map(() => native().allocate(BigInt(total), 'never')));
      const server = await serve(from);
      const ranges = shuffledRanges(total, into.length);
      const half = BigInt(total / 2);
      const options: NativeTransferOptions = {
        remoteAddress: BigUint64Array.from(ranges, ({ remote }) => from.address + BigInt(remote)),
        length: BigUint64Array.from(ranges, ({ length }) => BigInt(length)),
        localOffset: BigUint64Array.from(ranges, ({ local }) => BigInt(local)),
        region: Uint32Array.from(ranges, ({ region }) => region),
        regions: into,
        bufferAddress: BigUint64Array.of(from.address, from.address + half),
        bufferLength: BigUint64Array.of(half, half),
        lanes: await Promise.all(['a', 'b', 'c'].map((name) => connect(server, name))),
        sliceBytes: 256 << 10,
        maxSegments: 64,
        merge,
      };
      const transfer = native().startTransfer(options);
      const outcome = await transfer.done;
      assert.equal(outcome.fault, undefined);
      assert.equal(outcome.bytes, BigInt(total));
      assert.deepEqual(transfer.progress(), { bytes: BigInt(total), totalBytes: BigInt(total) });
      assert.deepEqual(
        outcome.lanes.map((lane) => lane.name),
        ['a', 'b', 'c'],
      );
      assert.equal(
        outcome.lanes.reduce((sum, lane) => sum + lane.bytes, 0n),
        BigInt(total),
      );
      assert.equal(merge ? outcome.slices < ranges.length : outcome.slices >= ranges.length, true);

      const source = bytesOf(from);
      const targets = into.map(bytesOf);
      for (const { remote, local, region, length } of ranges) {
        const got = targets[region]?.subarray(local, local + length);
        assert.equal(Buffer.compare(got ?? Buffer.alloc(0), source.subarray(remote, remote + length)), 0, `range at ${String(remote)}`);
      }
      assert.equal(server.counters().bytes, BigInt(total));
      await server.close();
      assert.equal(server.counters().bytes, BigInt(total));
      for (const region of [from, ...into]) region.close();
    });
  }

  it('ends with the reason when the peer refuses the address, and rejects when no plan is possible', async () => {
    const from = await filledRegion(1n << 20n, 33);
    const into = await native().allocate(1n << 20n, 'never');
    const server = await serve();
    // Version 2 of the protocol answers with a status; version 1 can only close the connection.
    for (const [version, code] of [
      [2, 'REMOTE_ACCESS'],
      [1, 'PEER_LOST'],
    ] as const) {
      const lane = await connect(server, 'tcp', version);
      const outcome = await native().startTransfer(wholeRegion(from, into, [lane])).done;
      assert.ok(faultOf(code)(outcome.fault));
      assert.ok(faultOf(code)(outcome.lanes[0]?.fault));
      assert.equal(outcome.bytes, 0n);
    }

    const planless = native().startTransfer({
      ...wholeRegion(from, into, [await connect(server)]),
      bufferLength: BigUint64Array.of(from.byteLength - 1n),
    });
    await assert.rejects(planless.done, faultOf('OUT_OF_RANGE'));
    for (const region of [from, into]) region.close();
    await server.close();
  });

  it('moves nothing for empty ranges', async () => {
    const from = await filledRegion(4096n, 35);
    const server = await serve(from);
    const none = {
      remoteAddress: BigUint64Array.of(),
      length: BigUint64Array.of(),
      localOffset: BigUint64Array.of(),
      region: Uint32Array.of(),
    };
    const outcome = await native().startTransfer({ ...wholeRegion(from, from, [await connect(server)]), ...none }).done;
    assert.deepEqual([outcome.fault, outcome.bytes, outcome.slices], [undefined, 0n, 0]);
    from.close();
    await server.close();
  });

  it('a connection that is refused is PEER_LOST', async () => {
    const server = await serve();
    const { port } = server;
    await server.close();
    await assert.rejects(connect({ port }), faultOf('PEER_LOST', new RegExp(String(port))));
  });
});

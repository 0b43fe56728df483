import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { native, type NativeRegion, type NativeTransferOptions } from '#src/native.js';
import { connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

/** For calls that the types forbid. */
function untyped(value: unknown): never {
  return value as never;
}

describe('arguments', () => {
  let region: NativeRegion;
  before(async () => {
    region = await filledRegion(1n << 16n, 11);
  });
  after(() => {
    region.close();
  });

  it('bigints outside of [0, 2^64) are refused by name', async () => {
    for (const bytes of [-1n, -(2n ** 63n), 2n ** 64n, 2n ** 200n]) {
      await assert.rejects(native().allocate(bytes, 'never'), faultOf('INVALID_ARGUMENT', /bytes/), String(bytes));
      assert.throws(() => region.view(bytes, 1), faultOf('INVALID_ARGUMENT', /offset/), String(bytes));
    }
  });

  it('the largest bigints are taken as what they are', async () => {
    for (const offset of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      assert.throws(() => region.view(offset, 1), faultOf('OUT_OF_RANGE', new RegExp(`offset ${String(offset)} `)));
      await assert.rejects(
        native().allocate(offset, 'never'),
        faultOf(offset > 2n ** 56n ? 'INVALID_ARGUMENT' : 'OUT_OF_MEMORY', new RegExp(String(offset))),
      );
      assert.throws(() => native().adoptAddress(offset, 2n ** 64n - 1n, true), faultOf('INVALID_ARGUMENT'));
    }
    const adopted = native().adoptAddress(2n ** 53n + 1n, 16n, false);
    assert.equal(adopted.address, 2n ** 53n + 1n);
    adopted.close();
  });

  it('other types are refused by name', async () => {
    await assert.rejects(native().allocate(untyped(4096), 'never'), faultOf('INVALID_ARGUMENT', /bigint for bytes but received a number/));
    await assert.rejects(native().allocate(4096n, untyped('sometimes')), faultOf('INVALID_ARGUMENT', /hugePages.*sometimes/));
    await assert.rejects(native().mapFile(untyped(undefined), 0n, 1n), faultOf('INVALID_ARGUMENT', /string for path/));
    await assert.rejects(native().mapFile('a\0b', 0n, 1n), faultOf('INVALID_ARGUMENT', /NUL.*path/));
    for (const length of [-1, 1.5, NaN, Infinity, untyped('1'), untyped(1n)]) {
      assert.throws(() => region.view(0n, length), faultOf('INVALID_ARGUMENT', /length/), String(length));
    }
    assert.throws(() => native().adoptAddress(4096n, 1n, untyped(1)), faultOf('INVALID_ARGUMENT', /boolean for writable/));
    await assert.rejects(native().listenTcp('127.0.0.1', 65_536, 1), faultOf('INVALID_ARGUMENT', /port/));
    await assert.rejects(native().listenTcp('127.0.0.1', 0, 0), faultOf('INVALID_ARGUMENT', /threads/));
    const unknown = 'often' as 'always';
    await assert.rejects(native().listenTcp('127.0.0.1', 0, 1, unknown), faultOf('INVALID_ARGUMENT', /zeroCopy.*often/));
  });

  it('handles of another class, or of nobody, are refused', async () => {
    const server = await serve(region);
    const twin = { ...region, __proto__: Object.getPrototypeOf(region) as object };
    for (const wrong of [server, {}, null, undefined, 1n, twin]) {
      await assert.rejects(native().copyRegion(untyped(wrong), region, 1), faultOf('INVALID_ARGUMENT', /NativeRegion for from/));
      assert.throws(() => native().startTransfer({ ...options([]), lanes: [untyped(wrong)] }), faultOf('INVALID_ARGUMENT', /NativeLane/));
    }
    assert.throws(() => region.view.call(untyped(server), 0n, 1), TypeError);
    assert.throws(() => server.counters.call(untyped(region)), TypeError);
    assert.throws(() => region.view.call(untyped(twin), 0n, 1), TypeError);
    await server.close();
  });

  it('classes cannot be constructed by JavaScript', () => {
    const { constructor } = region as unknown as { constructor: new () => object };
    assert.throws(() => new constructor(), faultOf('INVALID_ARGUMENT', /NativeRegion/));
    assert.throws(() => new (class extends constructor {})(), faultOf('INVALID_ARGUMENT'));
    assert.throws(() => (constructor as unknown as () => void)(), Error);
  });

  function options(lanes: NativeTransferOptions['lanes']): NativeTransferOptions {
    return wholeRegion(region, region, lanes);
  }

  it('a transfer refuses what would leave memory', async () => {
    const server = await serve(region);
    const lane = await connect(server);
    const readOnly = native().adoptAddress(region.address, region.byteLength, false);
    const refused: [Partial<NativeTransferOptions>, ReturnType<typeof faultOf>][] = [
      [{ length: BigUint64Array.of(1n, 2n) }, faultOf('INVALID_ARGUMENT', /unequal length/)],
      [{ region: Uint32Array.of() }, faultOf('INVALID_ARGUMENT', /unequal length/)],
      [{ bufferLength: BigUint64Array.of() }, faultOf('INVALID_ARGUMENT', /unequal length/)],
      [{ region: Uint32Array.of(1) }, faultOf('INVALID_ARGUMENT', /region\[0\] is 1/)],
      [{ region: Uint32Array.of(2 ** 32 - 1) }, faultOf('INVALID_ARGUMENT', /region\[0\]/)],
      [{ localOffset: BigUint64Array.of(1n) }, faultOf('OUT_OF_RANGE', /row 0/)],
      [{ localOffset: BigUint64Array.of(2n ** 64n - 1n) }, faultOf('OUT_OF_RANGE', /row 0/)],
      [{ regions: [readOnly] }, faultOf('INVALID_ARGUMENT', /read-only/)],
      [{ lanes: [lane, lane] }, faultOf('INVALID_ARGUMENT', /twice/)],
      [{ sliceBytes: 0 }, faultOf('INVALID_ARGUMENT', /sliceBytes/)],
      [{ maxSegments: 0 }, faultOf('INVALID_ARGUMENT', /maxSegments/)],
      [{ chunks: { region: 1, bytes: 4096 } }, faultOf('INVALID_ARGUMENT', /options.chunks.region is 1 of 1 regions/)],
      [{ chunks: { region: 0, bytes: 4095 } }, faultOf('INVALID_ARGUMENT', /options.chunks.bytes/)],
      [{ chunks: { region: 0, bytes: 2 ** 32 } }, faultOf('INVALID_ARGUMENT', /options.chunks.bytes/)],
      [{ chunks: untyped(16) }, faultOf('INVALID_ARGUMENT', /options.chunks/)],
      [{ length: untyped(new Float64Array(1)) }, faultOf('INVALID_ARGUMENT', /BigUint64Array for options.length/)],
      [{ region: untyped([0]) }, faultOf('INVALID_ARGUMENT', /Uint32Array for options.region/)],
    ];
    for (const [wrong, fault] of refused) assert.throws(() => native().startTransfer({ ...options([lane]), ...wrong }), fault);

    // None of the refusals used the lane up.
    const into = await native().allocate(region.byteLength, 'never');
    const running = native().startTransfer({ ...wholeRegion(region, into, [lane]), chunks: { region: 0, bytes: 4096 } });
    const { fault } = await running.done;
    assert.equal(fault, undefined);
    const chunks = Math.ceil(Number(into.byteLength) / 4096);
    assert.deepEqual([...running.takeLanded()].sort(), [...Array(chunks).keys()].sort());
    assert.equal(running.takeLanded().length, 0);
    assert.throws(() => native().startTransfer(wholeRegion(region, into, [lane])), faultOf('INVALID_ARGUMENT', /lane/));
    readOnly.close();
    into.close();
    await server.close();
  });

  it('a server refuses to serve what lies outside of its regions', async () => {
    const server = await serve();
    const end = region.address + region.byteLength;
    for (const [address, length] of [
      [region.address - 1n, 2n],
      [region.address, region.byteLength + 1n],
      [end, 1n],
      [2n ** 64n - 1n, 1n],
      [0n, 1n],
    ] as const) {
      assert.throws(() => {
        server.serve([region], BigUint64Array.of(address), BigUint64Array.of(length));
      }, faultOf('OUT_OF_RANGE'));
    }
    assert.throws(
      () => {
        server.serve([region], BigUint64Array.of(), BigUint64Array.of(1n));
      },
      faultOf('INVALID_ARGUMENT', /differ in length/),
    );
    await server.close();
  });

  it('getters that close what was just passed do no harm', async () => {
    const victim = await native().allocate(region.byteLength, 'never');
    const server = await serve(region);
    const lane = await connect(server);
    const length = BigUint64Array.of(region.byteLength);
    const hostile = { ...wholeRegion(region, victim, [lane]), length };
    Object.defineProperty(hostile, 'lanes', {
      get() {
        victim.close();
        structuredClone(length.buffer, { transfer: [length.buffer] });
        return [lane];
      },
    });
    assert.throws(() => native().startTransfer(hostile), faultOf('INVALID_ARGUMENT', /unequal length/));
    assert.throws(() => native().startTransfer(wholeRegion(region, victim, [lane])), faultOf('CLOSED', /region/));
    await lane.close();
    await server.close();
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { native } from '#src/native.js';
import { bytesOf, connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

describe('adopted buffers', () => {
  it('are the memory of the buffer: a transfer lands in it', async () => {
    const from = await filledRegion(100_000n, 21);
    const buffer = new ArrayBuffer(100_100);
    const region = native().adoptBuffer(buffer, 50, 100_000);
    assert.deepEqual([region.kind, region.byteLength, region.writable], ['adopted', 100_000n, true]);
    const server = await serve(from);
    const { fault } = await native().startTransfer(wholeRegion(from, region, [await connect(server)])).done;
    assert.equal(fault, undefined);
    assert.deepEqual(new Uint8Array(buffer, 50, 100_000), bytesOf(from));
    assert.deepEqual([...new Uint8Array(buffer, 0, 50)], new Array(50).fill(0));
    region.close();
    from.close();
    await server.close();
    assert.equal(buffer.byteLength, 100_100);
  });

  it('are refused when resizable, shared, detached or too short', () => {
    // ES2024, which the types do not know.
    const resizable = Reflect.construct(ArrayBuffer, [10, { maxByteLength: 20 }]) as ArrayBuffer;
    assert.throws(() => native().adoptBuffer(resizable, 0, 10), faultOf('INVALID_ARGUMENT', /resizable/));
    assert.throws(() => native().adoptBuffer(new SharedArrayBuffer(10) as never, 0, 10), faultOf('INVALID_ARGUMENT', /SharedArrayBuffer/));
    const detached = new ArrayBuffer(10);
    structuredClone(detached, { transfer: [detached] });
    assert.throws(() => native().adoptBuffer(detached, 0, 0), faultOf('INVALID_ARGUMENT', /detached/));
    const buffer = new ArrayBuffer(10);
    for (const [offset, length] of [
      [0, 11],
      [11, 0],
      [10, 1],
      [2 ** 53 - 1, 2 ** 53 - 1],
    ] as const) {
      assert.throws(() => native().adoptBuffer(buffer, offset, length), faultOf('INVALID_ARGUMENT', /leave the buffer/));
    }
    assert.throws(() => native().adoptBuffer(new Uint8Array(10) as never, 0, 10), faultOf('INVALID_ARGUMENT', /ArrayBuffer/));
  });

  it('that were transferred away are used no more', async () => {
    const buffer = new ArrayBuffer(4096);
    const region = native().adoptBuffer(buffer, 0, 4096);
    structuredClone(buffer, { transfer: [buffer] });
    assert.throws(() => region.view(0n, 1), faultOf('CLOSED', /transferred/));
    await assert.rejects(region.read(0n, new Uint8Array(1)), faultOf('CLOSED'));
    const server = await serve();
    assert.throws(() => {
      server.serve([region], BigUint64Array.of(region.address), BigUint64Array.of(1n));
    }, faultOf('CLOSED'));
    await server.close();
    region.close();
  });
});

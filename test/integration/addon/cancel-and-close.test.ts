import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { native, type NativeTransfer } from '#src/native.js';
import { connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

const TOTAL = 256n << 20n;

/** Resolves when some bytes have landed and others have not. */
async function underWay(transfer: NativeTransfer): Promise<void> {
  for (;;) {
    const { bytes, totalBytes } = transfer.progress();
    if (bytes > 0n && bytes < totalBytes) return;
    assert.ok(bytes < totalBytes, 'the transfer ended before it could be disturbed');
    await setImmediate();
  }
}

describe('while a transfer runs', () => {
  it('cancel settles it as CANCELLED, and no byte lands afterwards', async () => {
    const from = await filledRegion(TOTAL, 41);
    const into = await native().allocate(TOTAL, 'never');
    const server = await serve(from);
    const transfer = native().startTransfer(wholeRegion(from, into, [await connect(server), await connect(server)]));
    await underWay(transfer);
    transfer.cancel();
    transfer.cancel();
    const outcome = await transfer.done;
    transfer.cancel();
    assert.ok(faultOf('CANCELLED')(outcome.fault));
    assert.ok(outcome.bytes > 0n && outcome.bytes < TOTAL, String(outcome.bytes));
    assert.deepEqual(transfer.progress(), { bytes: outcome.bytes, totalBytes: TOTAL });

    const checksum = async (): Promise<bigint | undefined> =>
      (await native().checksum([into], Uint32Array.of(0), BigUint64Array.of(0n), BigUint64Array.of(TOTAL), 2).done)[0];
    const first = await checksum();
    await setTimeout(100);
    assert.equal(await checksum(), first);
    for (const region of [from, into]) region.close();
    await server.close();
  });

  it('cancel before it began settles it the same way', async () => {
    const from = await filledRegion(1n << 20n, 43);
    const into = await native().allocate(1n << 20n, 'never');
    const server = await serve(from);
    const transfer = native().startTransfer(wholeRegion(from, into, [await connect(server)]));
    transfer.cancel();
    const outcome = await transfer.done;
    if (outcome.fault === undefined) assert.equal(outcome.bytes, 1n << 20n);
    else assert.ok(faultOf('CANCELLED')(outcome.fault));
    for (const region of [from, into]) region.close();
    await server.close();
  });

  it('closing regions, lanes and handles does not disturb it', async () => {
    const from = await filledRegion(TOTAL, 45);
    const into = await native().allocate(TOTAL, 'never');
    const window = new Uint8Array(into.view(TOTAL - 4096n, 4096));
    const server = await serve(from);
    const lane = await connect(server);
    const transfer = native().startTransfer(wholeRegion(from, into, [lane]));
    await underWay(transfer);
    await Promise.all([lane.close(), lane.close()]);
    into.close();
    from.close();
    assert.equal(window.length, 4096);
    const outcome = await transfer.done;
    assert.equal(outcome.fault, undefined);
    assert.equal(outcome.bytes, TOTAL);
    assert.equal(window.length, 0);
    await server.close();
  });

  it('closing the server ends it with PEER_LOST', async () => {
    const from = await filledRegion(TOTAL, 47);
    const into = await native().allocate(TOTAL, 'never');
    const server = await serve(from);
    const transfer = native().startTransfer(wholeRegion(from, into, [await connect(server)]));
    await underWay(transfer);
    await server.close();
    assert.ok(faultOf('PEER_LOST')((await transfer.done).fault));
    for (const region of [from, into]) region.close();
  });
});

describe('close', () => {
  it('is idempotent, and use afterwards is CLOSED', async () => {
    const region = await filledRegion(4096n, 49);
    const server = await serve(region);
    const lane = await connect(server);
    await Promise.all([server.close(), server.close(), lane.close(), lane.close()]);
    await server.close();
    await lane.close();
    assert.throws(
      () => {
        server.serve([], BigUint64Array.of(), BigUint64Array.of());
      },
      faultOf('CLOSED', /server/),
    );
    assert.throws(() => native().startTransfer(wholeRegion(region, region, [lane])), faultOf('CLOSED', /lane/));
    region.close();
    region.close();
    await assert.rejects(native().copyRegion(region, region, 1), faultOf('CLOSED', /region/));
  });
});

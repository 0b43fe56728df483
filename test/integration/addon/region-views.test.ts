import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { native } from '#src/native.js';
import { bytesOf, connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

describe('windows onto a region', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weightcast-views-'));
  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('show the memory itself: two windows see each other', async () => {
    const region = await native().allocate(8192n, 'never');
    new Uint8Array(region.view(4096n, 4096))[1] = 42;
    assert.equal(new Uint8Array(region.view(0n, 8192))[4097], 42);
    region.close();
  });

  it('are the same object for the same offset and length', async () => {
    const region = await native().allocate(8192n, 'never');
    assert.equal(region.view(0n, 100), region.view(0n, 100));
    assert.notEqual(region.view(0n, 100), region.view(0n, 101));
    assert.notEqual(region.view(0n, 100), region.view(1n, 100));
    region.close();
  });

  it('have length 0 after close, and no new one opens', async () => {
    const region = await native().allocate(8192n, 'never');
    const whole = new Uint8Array(region.view(0n, 8192));
    const part = region.view(10n, 20);
    region.close();
    assert.equal(whole.length, 0);
    assert.equal(part.byteLength, 0);
    assert.equal(whole[0], undefined);
    assert.throws(() => region.view(0n, 1), faultOf('CLOSED'));
    region.close();
  });

  it('stay attached over close while a transfer writes, and are detached when it ends', async () => {
    const from = await filledRegion(1n << 20n, 1);
    const into = await native().allocate(1n << 20n, 'never');
    const server = await serve(from);
    const window = new Uint8Array(into.view(0n, 1 << 20));
    const transfer = native().startTransfer(wholeRegion(from, into, [await connect(server)]));
    into.close();
    assert.equal(window.length, 1 << 20);
    assert.equal((await transfer.done).fault, undefined);
    assert.equal(window.length, 0);
    await server.close();
    from.close();
  });

  it('refuse ranges that leave the region', async () => {
    const region = await native().allocate(8192n, 'never');
    assert.throws(() => region.view(0n, 8193), faultOf('OUT_OF_RANGE', /8193.*8192/));
    assert.throws(() => region.view(8192n, 1), faultOf('OUT_OF_RANGE'));
    assert.throws(() => region.view(2n ** 64n - 1n, 2), faultOf('OUT_OF_RANGE'));
    assert.equal(region.view(8192n, 0).byteLength, 0);
    region.close();
  });

  it('of 4 GiB and more are refused; one byte less is given', async () => {
    // 5 GiB of address space; only the pages that are touched cost memory.
    const region = await native().allocate(5n << 30n, 'never');
    assert.throws(() => region.view(0n, 2 ** 32), faultOf('INVALID_ARGUMENT', /length/));
    assert.throws(() => region.view(0n, 2 ** 53), faultOf('INVALID_ARGUMENT', /length/));
    const largest = new Uint8Array(region.view(1n << 30n, 2 ** 32 - 1));
    largest[2 ** 32 - 2] = 9;
    assert.equal(new Uint8Array(region.view((5n << 30n) - 2n, 1))[0], 9);
    region.close();
  });

  it('of a file mapping are refused, and its bytes are read instead', async () => {
    const path = join(folder, 'weights');
    writeFileSync(
      path,
      Uint8Array.from({ length: 10_000 }, (_, index) => index % 251),
    );
    const region = await native().mapFile(path, 100n, 9000n);
    assert.equal(region.kind, 'file');
    assert.equal(region.writable, false);
    assert.throws(() => region.view(0n, 10), faultOf('INVALID_ARGUMENT', /read-only/));
    const into = new Uint8Array(5);
    await region.read(200n, into);
    assert.deepEqual([...into], [49, 50, 51, 52, 53]);
    await assert.rejects(region.read(8996n, into), faultOf('OUT_OF_RANGE'));

    const file = openSync(path, 'r+');
    ftruncateSync(file, 4096);
    closeSync(file);
    await assert.rejects(region.read(8000n, into), faultOf('IO'));
    region.close();
    await assert.rejects(region.read(0n, into), faultOf('CLOSED'));
  });

  it('read() refuses an array that was transferred away meanwhile', async () => {
    const region = await filledRegion(1n << 20n, 3);
    const into = new Uint8Array(1 << 20);
    const reading = region.read(0n, into);
    structuredClone(into.buffer, { transfer: [into.buffer] });
    await assert.rejects(reading, faultOf('INVALID_ARGUMENT', /into/));
    region.close();
  });

  it('copyRegion brings all bytes, and refuses regions that do not fit', async () => {
    const region = await filledRegion((20n << 20n) + 3n, 5);
    const copy = await native().allocate(region.byteLength, 'never');
    await native().copyRegion(region, copy, 2);
    assert.equal(Buffer.compare(bytesOf(copy), bytesOf(region)), 0);
    const readOnly = native().adoptAddress(copy.address, copy.byteLength, false);
    const shorter = native().adoptAddress(copy.address, copy.byteLength - 1n, true);
    await assert.rejects(native().copyRegion(region, readOnly, 1), faultOf('INVALID_ARGUMENT', /read-only/));
    await assert.rejects(native().copyRegion(region, shorter, 1), faultOf('INVALID_ARGUMENT', /size/));
    await assert.rejects(native().copyRegion(region, region, 1), faultOf('INVALID_ARGUMENT', /same region/));
    for (const each of [region, copy, readOnly, shorter]) each.close();
  });
});

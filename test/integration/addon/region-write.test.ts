import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Region } from '#src/region.js';
import { native } from '#src/native.js';
import { faultOf } from './support.js';

describe('Region.write', () => {
  it('copies bytes in, as they were at the time of the call', async () => {
    using region = await Region.allocate(10_000n);
    const bytes = Uint8Array.from({ length: 5000 }, (_, index) => index % 251);
    const written = region.write(3000n, bytes);
    const expected = bytes.slice();
    bytes.fill(0);
    await written;
    assert.deepEqual(region.view(3000n, 5000), expected);
    assert.deepEqual(region.view(0n, 3000), new Uint8Array(3000));
    assert.deepEqual(region.view(8000n), new Uint8Array(2000));
  });

  it('is done also when the region is closed meanwhile', async () => {
    const region = await Region.allocate(1n << 24n);
    const written = region.write(0n, new Uint8Array(1 << 24));
    region.close();
    await written;
    await assert.rejects(region.write(0n, new Uint8Array(1)), { code: 'ERR_CLOSED' });
  });

  it('refuses what leaves the region, read-only regions and other types', async () => {
    using region = await Region.allocate(4096n);
    await assert.rejects(region.write(4096n, new Uint8Array(1)), { code: 'ERR_PROTOCOL', message: /leaves the region of 4096 bytes/ });
    await assert.rejects(region.write(2n ** 64n - 1n, new Uint8Array(2)), { code: 'ERR_PROTOCOL' });
    await region.write(4096n, new Uint8Array(0));
    using readOnly = Region.fromAddress(region.address, 4096n, { writable: false });
    await assert.rejects(readOnly.write(0n, new Uint8Array(1)), { code: 'ERR_INVALID_ARGUMENT', message: /read-only/ });
    await assert.rejects(region.handle.write(0n, 'bytes' as never), faultOf('INVALID_ARGUMENT', /Uint8Array for from/));
    await assert.rejects(region.handle.write(0 as never, new Uint8Array(1)), faultOf('INVALID_ARGUMENT', /bigint for offset/));
  });

  it('host memory is no device’s, and has nothing to flush', async () => {
    using region = await Region.allocate(4096n);
    assert.equal(region.device, undefined);
    await region.flush();
    const other = await native().allocate(1n, 'never');
    other.close();
    await assert.rejects(other.flush(), faultOf('CLOSED'));
  });
});

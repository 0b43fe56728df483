/** Memory of an accelerator through the addon, over TCP; the driver is a stand-in, whose addresses fault when they are loaded. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { native, type NativeRegion, type NativeTcpServer } from '#src/native.js';
import { Region } from '#src/region.js';
import { useStandins } from '../../support/standin.js';
import { bytesOf, connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';

useStandins();

const BYTES = (1n << 22n) + 777n;
const SLICE = 1 << 16;

describe('memory of an accelerator', () => {
  let source: NativeRegion;
  let server: NativeTcpServer;
  before(async () => {
    source = await filledRegion(BYTES, 5);
    server = await serve(source);
  });
  after(async () => {
    await server.close();
    source.close();
  });

  async function contentOf(region: NativeRegion): Promise<Uint8Array> {
    const bytes = new Uint8Array(Number(region.byteLength));
    await region.read(0n, bytes);
    return bytes;
  }

  it('is a region of kind device', async () => {
    using region = await Region.allocateOn({ cuda: 1 }, 10_000n);
    assert.deepEqual(region.device, { cuda: 1 });
    assert.equal(region.handle.kind, 'device');
    assert.equal(region.byteLength, 10_000n);
    assert.deepEqual(await native().deviceAllocation('cuda', region.address + 17n), {
      base: region.address,
      bytes: 10_000n,
      ordinal: 1,
    });
    assert.throws(() => region.view(), { code: 'ERR_INVALID_ARGUMENT', message: /cuda:1.*read\(\) and write\(\)/ });
    await assert.rejects(Region.allocateOn({ cuda: 2 }, 1n), { code: 'ERR_NOT_FOUND', message: /cuda:2/ });
    await assert.rejects(Region.allocateOn({ cuda: 0 }, 0n), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('is written and read in parts', async () => {
    using region = await Region.allocateOn({ cuda: 0 }, 10_000n);
    await region.write(0n, new Uint8Array(10_000));
    await region.write(3333n, Uint8Array.of(1, 2, 3));
    const part = new Uint8Array(5);
    await region.read(3332n, part);
    assert.deepEqual(part, Uint8Array.of(0, 1, 2, 3, 0));
    await assert.rejects(region.write(9_999n, new Uint8Array(2)), { code: 'ERR_PROTOCOL' });
    await assert.rejects(region.read(9_999n, new Uint8Array(2)), { code: 'ERR_PROTOCOL' });
    await region.flush();
  });

  it('of somebody else is adopted by its address, and stays theirs', async () => {
    using owner = await Region.allocateOn({ cuda: 0 }, 8192n);
    await owner.write(
      0n,
      Uint8Array.from({ length: 8192 }, (_, index) => index % 200),
    );
    const part = await Region.fromDeviceAddress('cuda', owner.address + 100n, 1000n, { writable: false });
    const bytes = new Uint8Array(3);
    await part.read(0n, bytes);
    assert.deepEqual(bytes, Uint8Array.of(100, 101, 102));
    await assert.rejects(part.write(0n, bytes), { code: 'ERR_INVALID_ARGUMENT', message: /read-only/ });
    part.close();
    await owner.read(0n, bytes);
    using host = await Region.allocate(4096n);
    await assert.rejects(Region.fromDeviceAddress('cuda', host.address, 4096n), { code: 'ERR_INVALID_ARGUMENT' });
    await assert.rejects(Region.fromDeviceAddress('cuda', owner.address + 8000n, 4096n), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('is copied as a whole, in every direction, and hashed where it is', async () => {
    const regions = [
      await native().allocateOnDevice('cuda', 0, BYTES),
      await native().allocateOnDevice('cuda', 1, BYTES),
      await native().allocate(BYTES, 'never'),
    ];
    for (const [index, into] of regions.entries()) await native().copyRegion(index === 0 ? source : regions[index - 1]!, into, 2);
    const all = [source, ...regions];
    const columns = [Uint32Array.from(all.keys()), BigUint64Array.from(all, () => 3n), BigUint64Array.from(all, () => BYTES - 5n)] as const;
    const sums = await native().checksum(all, ...columns, 2).done;
    assert.equal(new Set(sums).size, 1);
    assert.deepEqual(bytesOf(regions[2]!), bytesOf(source));
    for (const region of regions) region.close();
  });

  it('is read into by way of staging, beside host memory in the same transfer', async () => {
    const onDevice = await native().allocateOnDevice('cuda', 0, BYTES);
    const onHost = await native().allocate(BYTES, 'never');
    const staging = await native().allocate(BigInt(SLICE) * 6n, 'never');
    const half = BYTES / 2n;
    const lanes = await Promise.all([connect(server, 'tcp 0'), connect(server, 'tcp 1', 2)]);
    const outcome = await native().startTransfer({
      ...wholeRegion(source, onDevice, lanes),
      remoteAddress: BigUint64Array.of(source.address, source.address + half),
      length: BigUint64Array.of(half, BYTES - half),
      localOffset: BigUint64Array.of(7n, 0n),
      region: Uint32Array.of(0, 1),
      regions: [onDevice, onHost],
      sliceBytes: SLICE,
      staging,
    }).done;
    assert.equal(outcome.fault, undefined);
    assert.deepEqual((await contentOf(onDevice)).subarray(7, 7 + Number(half)), bytesOf(source).subarray(0, Number(half)));
    assert.deepEqual(bytesOf(onHost).subarray(0, Number(BYTES - half)), bytesOf(source).subarray(Number(half)));
    for (const region of [onDevice, onHost, staging]) region.close();
  });

  it('is nothing that a socket writes into, or that a server sends from', async () => {
    const region = await native().allocateOnDevice('cuda', 0, BYTES);
    const lane = await connect(server);
    assert.throws(() => native().startTransfer(wholeRegion(source, region, [lane])), faultOf('INVALID_ARGUMENT', /options.staging/));
    const address = BigUint64Array.of(region.address);
    assert.throws(
      () => {
        server.serve([region], address, BigUint64Array.of(BYTES));
      },
      faultOf('INVALID_ARGUMENT', /cuda:0.*copy in host memory/),
    );
    const local = await native().listenLocal(`weightcast-test-device-${process.pid}`, 'a'.repeat(64));
    assert.throws(
      () => {
        local.serve([region], address, BigUint64Array.of(BYTES));
      },
      faultOf('INVALID_ARGUMENT', /cuda:0/),
    );
    const staging = await native().allocateOnDevice('cuda', 0, BigInt(SLICE) * 4n);
    await assert.rejects(
      native().startTransfer({ ...wholeRegion(source, region, [lane]), sliceBytes: SLICE, staging }).done,
      faultOf('INVALID_ARGUMENT', /memory of the host/),
    );
    await local.close();
    for (const each of [region, staging]) each.close();
  });
});

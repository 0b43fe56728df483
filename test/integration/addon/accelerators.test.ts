import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { native, type NativeDeviceKind } from '#src/native.js';
import { Region } from '#src/region.js';
import { faultOf } from './support.js';

const kinds: readonly NativeDeviceKind[] = ['cuda', 'hip'];
const { accelerators, drivers, peerMemory } = await native().listAccelerators();

/** Kinds of which this machine has none. */
const absent = kinds.filter((kind) => !accelerators.some((accelerator) => accelerator.kind === kind));

describe('accelerators', () => {
  it('are listed, and of each kind that is not here it is said why', () => {
    assert.deepEqual(drivers.map(({ kind }) => kind).sort(), [...kinds]);
    for (const kind of absent) assert.notEqual(drivers.find((driver) => driver.kind === kind)?.reason, '', kind);
    for (const { kind, ordinal, name, pciAddress, bytes, dmabuf, dmabufReason } of accelerators) {
      assert.ok(kinds.includes(kind) && ordinal >= 0 && name !== '' && bytes > 0n);
      assert.match(pciAddress, /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/);
      assert.equal(dmabuf, dmabufReason === '');
    }
    assert.equal(typeof peerMemory, 'string');
  });

  for (const kind of absent) {
    it(`memory of ${kind}, which is not here, is refused with what is missing`, async () => {
      await assert.rejects(native().allocateOnDevice(kind, 0, 4096n), faultOf('DEVICE_UNAVAILABLE'));
      await assert.rejects(native().adoptOnDevice(kind, 0x7f0000000000n, 4096n, true), faultOf('DEVICE_UNAVAILABLE'));
      await assert.rejects(native().deviceAllocation(kind, 0x7f0000000000n), faultOf('DEVICE_UNAVAILABLE'));
      const device = kind === 'cuda' ? { cuda: 0 } : { hip: 0 };
      await assert.rejects(Region.allocateOn(device, 4096n), { code: 'ERR_ACCELERATOR_UNAVAILABLE', message: new RegExp(`${kind}:0`) });
      await assert.rejects(Region.fromDeviceAddress(kind, 4096n, 4096n), {
        code: 'ERR_ACCELERATOR_UNAVAILABLE',
        message: new RegExp(`4096 bytes of ${kind} memory at 0x1000`),
      });
    });
  }

  it('arguments of other types are refused by name', async () => {
    await assert.rejects(
      native().allocateOnDevice('opencl' as never, 0, 1n),
      faultOf('INVALID_ARGUMENT', /cuda or hip for kind but received opencl/),
    );
    await assert.rejects(native().allocateOnDevice('cuda', -1, 1n), faultOf('INVALID_ARGUMENT', /ordinal/));
    await assert.rejects(native().allocateOnDevice('cuda', 0, 1 as never), faultOf('INVALID_ARGUMENT', /bigint for bytes/));
    await assert.rejects(native().adoptOnDevice('cuda', 0 as never, 1n, true), faultOf('INVALID_ARGUMENT', /bigint for address/));
    await assert.rejects(native().adoptOnDevice('cuda', 0n, 1n, 1 as never), faultOf('INVALID_ARGUMENT', /boolean for writable/));
    await assert.rejects(native().deviceAllocation('hip', -1n), faultOf('INVALID_ARGUMENT', /address/));
  });
});

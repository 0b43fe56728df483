/** Which raw addresses become one region. The driver's answer is a double; a driver's own is for test/integration/device. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { spansOf } from '#src/device/allocations.js';
import { nativeDevice } from '#src/device/check.js';
import type { DeviceId } from '#src/device/device.js';
import { native } from '#src/native.js';

const addon = native();
const deviceAllocation = addon.deviceAllocation.bind(addon);
afterEach(() => {
  addon.deviceAllocation = deviceAllocation;
});

/** Allocations by base; returns what was asked for. */
function allocated(...allocations: { base: bigint; bytes: bigint; ordinal?: number }[]): bigint[] {
  const asked: bigint[] = [];
  addon.deviceAllocation = (_kind, address) => {
    asked.push(address);
    const found = allocations.find(({ base, bytes }) => address >= base && address < base + bytes);
    if (found === undefined) return Promise.reject(Object.assign(new Error('not device memory'), { nativeCode: 'INVALID_ARGUMENT' }));
    return Promise.resolve({ ordinal: 0, ...found });
  };
  return asked;
}

function range(name: string, address: bigint, bytes: bigint, device: DeviceId = { cuda: 0 }) {
  return { name, address, bytes, device: nativeDevice(device, '') };
}

const shown = (spans: Awaited<ReturnType<typeof spansOf>>): unknown[] =>
  spans.map(({ address, bytes, members }) => [address, bytes, members.map((member) => (member as { name: string }).name).join()]);

describe('raw addresses of an accelerator', () => {
  it("that touch are one region, whatever their order, and gaps stay their owner's", async () => {
    const asked = allocated({ base: 0x1000n, bytes: 0x10000n });
    const spans = await spansOf([range('c', 0x3000n, 0x10n), range('b', 0x1100n, 0x100n), range('a', 0x1000n, 0x100n)], 'seedTensors');
    assert.deepEqual(shown(spans), [
      [0x1000n, 0x200n, 'a,b'],
      [0x3000n, 0x10n, 'c'],
    ]);
    assert.deepEqual(asked, [0x1000n], 'the driver is asked once an allocation');
  });

  it('that overlap (tied weights) are one', async () => {
    allocated({ base: 0x1000n, bytes: 0x10000n });
    const spans = await spansOf([range('whole', 0x1000n, 0x400n), range('part', 0x1100n, 0x100n), range('next', 0x1400n, 0x100n)], '');
    assert.deepEqual(shown(spans), [[0x1000n, 0x500n, 'whole,part,next']]);
  });

  it('that touch across two allocations are two: such a registration would have broken keys', async () => {
    const asked = allocated({ base: 0x1000n, bytes: 0x1000n }, { base: 0x2000n, bytes: 0x1000n });
    const spans = await spansOf([range('a', 0x1000n, 0x1000n), range('b', 0x2000n, 0x1000n)], '');
    assert.deepEqual(shown(spans), [
      [0x1000n, 0x1000n, 'a'],
      [0x2000n, 0x1000n, 'b'],
    ]);
    assert.deepEqual(asked, [0x1000n, 0x2000n]);
  });

  it('of a tensor in several chunks stay alone', async () => {
    allocated({ base: 0x1000n, bytes: 0x1000n }, { base: 0x2000n, bytes: 0x1000n });
    const spans = await spansOf([range('a', 0x1000n, 0x800n), range('long', 0x1800n, 0x1000n), range('b', 0x2800n, 0x100n)], '');
    assert.deepEqual(shown(spans), [
      [0x1000n, 0x800n, 'a'],
      [0x1800n, 0x1000n, 'long'],
      [0x2800n, 0x100n, 'b'],
    ]);
  });

  it("that are of another accelerator, or of none, are refused with the tensor's name", async () => {
    allocated({ base: 0x1000n, bytes: 0x1000n, ordinal: 1 });
    await assert.rejects(spansOf([range('w', 0x1000n, 16n)], 'pull'), {
      code: 'ERR_INVALID_ARGUMENT',
      tensor: 'w',
      message: 'pull: tensor w is said to be on cuda:0, but 0x1000 is memory of cuda:1',
    });
    await assert.rejects(spansOf([range('a', 0x1000n, 16n, { cuda: 1 }), range('b', 0x1010n, 16n, { cuda: 0 })], ''), { tensor: 'b' });
    await assert.rejects(spansOf([range('w', 0x9000n, 16n)], 'pull'), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /tensor w at 0x9000.*not device memory/,
    });
  });
});

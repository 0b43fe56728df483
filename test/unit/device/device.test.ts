import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDevicePathChoice, nativeDevice } from '#src/device/check.js';
import { deviceName, parseDevice, type DeviceId } from '#src/device/device.js';
import type { WeightcastError } from '#src/errors.js';

describe('a device', () => {
  it('in text is cuda:0 or hip:1, and nothing else', () => {
    assert.deepEqual(parseDevice('cuda:0'), { cuda: 0 });
    assert.deepEqual(parseDevice('hip:12'), { hip: 12 });
    for (const text of ['cuda', 'cuda:', 'cuda:x', 'cuda:-1', 'CUDA:0', 'xpu:0', 'cuda:0:1', 'cuda:9999', ' cuda:0', 'mlx5_0']) {
      assert.equal(parseDevice(text), undefined, text);
    }
  });

  it('goes to the addon and to text and back', () => {
    for (const device of [{ cuda: 0 }, { hip: 3 }] as const) assert.deepEqual(parseDevice(deviceName(nativeDevice(device, ''))), device);
  });

  it('that is none is refused, with what was given', () => {
    for (const wrong of [{}, { cuda: -1 }, { cuda: 0.5 }, { cuda: '0' }, { xpu: 0 }, { cuda: 0, hip: 0 }, 'cuda:0', null, undefined]) {
      assert.throws(
        () => nativeDevice(wrong as unknown as DeviceId, 'pull: into.on'),
        (error: WeightcastError) =>
          error.code === 'ERR_INVALID_ARGUMENT' && error.message.startsWith('pull: into.on: expected { cuda: 0 }'),
        JSON.stringify(wrong),
      );
    }
  });

  it('is reached in one of four ways', () => {
    checkDevicePathChoice('auto', 'seed');
    assert.throws(() => {
      checkDevicePathChoice('dmabuf', 'seed');
    }, /seed: expected auto, dma-buf, peer-memory, staging for devicePath but received "dmabuf"/);
  });
});

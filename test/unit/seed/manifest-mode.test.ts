import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decideManifest } from '#src/seed/manifest-mode.js';

const MiB = 1024 * 1024;
const one = [{ name: 'a', addr: 1n, size: 1n, deviceId: 0, dtype: 'BF16' }];

describe('who hands the tensor list out', () => {
  it('is what was asked for', () => {
    assert.deepEqual(decideManifest('central', one), { mode: 'central', note: '' });
    assert.deepEqual(decideManifest('worker', one), { mode: 'worker', note: '' });
  });

  it('is the server by default, unless its record, which has the list twice, would be above 100 MiB', () => {
    assert.deepEqual(decideManifest('auto', one), { mode: 'central', note: '' });
    assert.equal(decideManifest('auto', one, 49 * MiB).mode, 'central');
    const { mode, note } = decideManifest('auto', one, 50 * MiB);
    assert.equal(mode, 'worker');
    assert.match(note, /^the tensor list of 52428800 bytes is too large for the server's record/);
  });

  it('comes with a warning when Python clients cannot take the list from a worker', () => {
    assert.equal(decideManifest('worker', one, 4 * MiB).note, '');
    assert.match(decideManifest('worker', one, 4 * MiB + 1).note, /4194305 bytes \(1 tensors\).*no more than 4194304 from a worker/);
    assert.equal(decideManifest('central', one, 5 * MiB).note, '');
  });

  it('is an error where no message can hold what was asked for', () => {
    const central = { code: 'ERR_INVALID_ARGUMENT', message: /52428800 bytes, too many for the server's record.*manifest "worker"/ };
    assert.throws(() => decideManifest('central', one, 50 * MiB), central);
    for (const asked of ['auto', 'central', 'worker'] as const) {
      assert.throws(() => decideManifest(asked, one, 100 * MiB), { code: 'ERR_INVALID_ARGUMENT', message: /104857600 bytes.*shards/ });
    }
  });
});

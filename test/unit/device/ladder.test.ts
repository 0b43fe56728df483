import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { climb } from '#src/device/ladder.js';
import { devicesOf, type DirectPath } from '#src/device/path.js';
import type { WeightcastError } from '#src/errors.js';
import { fault } from '../../support/nic-double.js';

/** Registers in these ways only; hears of every try. */
function registrar(works: readonly DirectPath[], code: Parameters<typeof fault>[1] = 'REGISTRATION') {
  const tried: DirectPath[] = [];
  const attempt = async (path: DirectPath): Promise<string> => {
    tried.push(path);
    if (!works.includes(path)) throw fault(`${path} was refused`, code, 'ibv_reg_mr');
    return `by ${path}`;
  };
  return { tried, attempt };
}

describe('the ladder', () => {
  it('takes the first way that works, and says why not the ones before it', async () => {
    const all = registrar(['dma-buf', 'peer-memory']);
    assert.deepEqual(await climb('auto', all.attempt), { path: 'dma-buf', registered: 'by dma-buf', reason: '' });
    assert.deepEqual(all.tried, ['dma-buf']);
    const peer = registrar(['peer-memory']);
    assert.deepEqual(await climb('auto', peer.attempt), {
      path: 'peer-memory',
      registered: 'by peer-memory',
      reason: 'dma-buf was refused',
    });
    const none = registrar([]);
    assert.deepEqual(await climb('auto', none.attempt), {
      path: 'staging',
      registered: undefined,
      reason: 'dma-buf was refused; peer-memory was refused',
    });
    assert.deepEqual(none.tried, ['dma-buf', 'peer-memory']);
  });

  it('takes a way that was asked for, or fails', async () => {
    const peer = registrar(['peer-memory']);
    assert.deepEqual(await climb('peer-memory', peer.attempt), { path: 'peer-memory', registered: 'by peer-memory', reason: '' });
    assert.deepEqual(peer.tried, ['peer-memory']);
    await assert.rejects(climb('dma-buf', peer.attempt), /dma-buf was refused/);
    const all = registrar(['dma-buf', 'peer-memory']);
    assert.deepEqual(await climb('staging', all.attempt), { path: 'staging', registered: undefined, reason: '' });
    assert.deepEqual(all.tried, [], 'nothing is registered that is not used');
  });

  it('ends at an error that no other way would help', async () => {
    const { tried, attempt } = registrar([], 'CLOSED');
    await assert.rejects(climb('auto', attempt), (error: WeightcastError) => error.message === 'dma-buf was refused');
    assert.deepEqual(tried, ['dma-buf']);
    assert.equal((await climb('auto', registrar([], 'MEMLOCK_LIMIT').attempt)).path, 'staging');
  });
});

describe('the accelerators of regions', () => {
  it('are each named once', () => {
    const on = (ordinal: number) => ({ device: { kind: 'cuda', ordinal } as const });
    assert.deepEqual(devicesOf([on(1), { device: undefined }, on(0), on(1)]), ['cuda:0', 'cuda:1']);
    assert.deepEqual(devicesOf([{ device: undefined }]), []);
  });
});

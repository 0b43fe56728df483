import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { READY, STALE, publish } from './support.js';

const update = { status: READY, updatedAt: 50n };

describe('the memory store', () => {
  it('updates only what is there, and nothing newer than it was told', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { workerRank: 1, updatedAt: 10n });
    assert.equal(await store.updateStatus(id, 'w', 0, update), false);
    assert.equal(await store.updateStatus(id, 'x', 1, update), false);
    assert.equal(await store.updateStatus('0', 'w', 1, update), false);
    assert.equal(await store.updateStatus(id, 'w', 1, update, 9n), false);
    assert.equal(await store.updateStatus(id, 'w', 1, update, 10n), true);
    assert.deepEqual((await store.get(id, 'w'))?.worker.updatedAt, 50n);
  });

  it('removes a worker with all ranks, and the source with the last', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'a', { workerRank: 0 });
    await publish(store, 'a', { workerRank: 1, updatedAt: 20n });
    await publish(store, 'b', {});
    assert.equal(await store.removeWorker(id, 'a', 19n), false);
    assert.equal(await store.removeWorker(id, 'a', 20n), true);
    assert.equal(await store.removeWorker(id, 'a'), false);
    assert.equal(await store.get(id, 'a'), undefined);
    assert.deepEqual(
      (await store.list(id)).map((listing) => listing.workerId),
      ['b'],
    );
    await store.removeWorker(id, 'b');
    assert.deepEqual(await store.list(), []);
  });

  it('lists the statuses of all ranks of one source', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'a', { workerRank: 0, status: READY });
    await publish(store, 'a', { workerRank: 1, status: STALE });
    const [listing] = await store.list(id);
    assert.deepEqual([...(listing?.statuses ?? [])].sort(), [2, 3]);
    assert.deepEqual(await store.list('0000000000000000'), []);
  });
});

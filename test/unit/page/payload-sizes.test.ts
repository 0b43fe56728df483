import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PayloadSizes } from '#src/daemon/page/view/payload-sizes.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { publish, READY, tensorSource } from '../../support/fleet.js';

test('tensors and their bytes are summed up', async () => {
  const store = new MemoryStore();
  await publish(store, 'w', tensorSource(5000, 3_800_000_000n));
  const sizes = new PayloadSizes(store);
  const [listing] = await store.list();
  assert.ok(listing);
  assert.equal(sizes.of(listing), undefined);
  await sizes.load([listing]);
  assert.deepEqual(sizes.of(listing), { kind: 'tensors', count: 5000, bytes: 5000 * 3_800_000_000 });
});

test('artifacts have files', async () => {
  const store = new MemoryStore();
  const value = { artifactId: 'a', totalSize: 123_456n, fileCount: 7, chunkCount: 1, nodeRank: 0 };
  await publish(store, 'w', { sourcePayload: { $case: 'artifactSource', value } });
  const sizes = new PayloadSizes(store);
  const listings = await store.list();
  await sizes.load(listings);
  assert.deepEqual(sizes.of(listings[0]!), { kind: 'files', count: 7, bytes: 123_456 });
});

test('a heartbeat does not make a list be read again', async () => {
  const store = new MemoryStore();
  const sourceId = await publish(store, 'w', tensorSource(10, 1n));
  const sizes = new PayloadSizes(store);
  const [before] = await store.list();
  await sizes.load([before!]);
  await store.updateStatus(sourceId, 'w', 0, { status: READY, updatedAt: 5n });
  const [after] = await store.list();
  assert.notEqual(before, after);
  await sizes.load([after!]);
  assert.equal(sizes.of(after!), sizes.of(before!), 'the very same object');
});

test('long lists are left for later looks', async () => {
  const store = new MemoryStore();
  for (let worker = 0; worker < 4; worker++) await publish(store, `w${String(worker)}`, tensorSource(60_000, 1n));
  const sizes = new PayloadSizes(store);
  const listings = await store.list();
  const known = (): number => listings.filter((listing) => sizes.of(listing)?.bytes === 60_000).length;
  await sizes.load(listings);
  assert.equal(known(), 2, 'a hundred thousand are reached with the second');
  assert.ok(
    listings.every((listing) => sizes.of(listing)?.count === 60_000),
    'the counts are known at once',
  );
  await sizes.load(listings);
  assert.equal(known(), 4);
});

test('a worker that is gone, and a store that fails, are no failure', async () => {
  const store = new MemoryStore();
  const sourceId = await publish(store, 'w');
  const listings = await store.list();
  await store.removeWorker(sourceId, 'w');
  const sizes = new PayloadSizes(store);
  await sizes.load(listings);
  assert.equal(sizes.of(listings[0]!), undefined);
  store.get = () => Promise.reject(new Error('broken'));
  await sizes.load(listings);
  assert.equal(sizes.of(listings[0]!), undefined);
});

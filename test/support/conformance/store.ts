/** What the interface of stores demands beyond what the calls show: conditions of the reaper, removal, identity of objects. */
import assert from 'node:assert/strict';
import { Reaper } from '#src/metadata/server/reaper.js';
import type { MetadataStore, WorkerListing } from '#src/metadata/stores/store.js';
import { silentLogger } from '#src/observe/logger.js';
import { callsOn, heartbeatTimeoutMs, Peer } from '../p2p-calls.js';
import { identity, INITIALIZING, READY, STALE, tensors, UNKNOWN } from '../p2p-messages.js';

export type StoreCase = readonly [name: string, run: (store: MetadataStore, peer: Peer) => Promise<void>];

const gcTimeoutMs = 3_600_000;
const update = { status: STALE, updatedAt: 50n };

function reaperOf(store: MetadataStore, { clock }: Peer): Reaper {
  return new Reaper({ store, clock: () => clock.now, heartbeatTimeoutMs, gcTimeoutMs, intervalMs: 30_000, logger: silentLogger });
}

export const storeCases: readonly StoreCase[] = [
  [
    'can be used, and says so',
    async (store) => {
      await store.check();
    },
  ],
  [
    'updates only what is there, and only while its time is the expected one',
    async (store, peer) => {
      const id = await peer.publish('w', { workerRank: 1, updatedAt: 10n });
      assert.equal(await store.updateStatus(id, 'w', 0, update), false);
      assert.equal(await store.updateStatus(id, 'x', 1, update), false);
      assert.equal(await store.updateStatus('0000000000000000', 'w', 1, update), false);
      assert.equal(await store.updateStatus(id, 'w', 1, update, 9n), false);
      assert.equal((await store.get(id, 'w'))?.worker.updatedAt, 10n);
      assert.equal(await store.updateStatus(id, 'w', 1, update, 10n), true);
      assert.equal((await store.get(id, 'w'))?.worker.updatedAt, 50n);
      assert.equal(await store.updateStatus(id, 'w', 1, { ...update, updatedAt: 60n }, 10n), false);
    },
  ],
  [
    'removes a worker with all ranks, and the source with the last worker',
    async (store, peer) => {
      const id = await peer.publish('a', { workerRank: 0 });
      await peer.publish('a', { workerRank: 1, updatedAt: 20n });
      await peer.publish('b');
      assert.equal(await store.removeWorker(id, 'a', 19n), false);
      assert.equal(await store.removeWorker(id, 'a', 21n), false);
      assert.equal(await store.removeWorker(id, 'a', 20n), true);
      assert.equal(await store.removeWorker(id, 'a'), false);
      assert.equal(await store.removeWorker('0000000000000000', 'b'), false);
      assert.equal(await store.get(id, 'a'), undefined);
      assert.deepEqual(await peer.ids(), ['b']);
      assert.equal((await peer.update(id, 'a', { workerRank: 1, status: READY })).success, false);
      assert.equal(await store.removeWorker(id, 'b'), true);
      assert.deepEqual(await store.list(), []);
      assert.deepEqual(await store.list(id), []);
      await peer.publish('b', { agentName: 'back' });
      assert.equal((await peer.get(id, 'b')).worker?.agentName, 'back');
      assert.deepEqual((await peer.get(id, 'b')).identity, identity);
    },
  ],
  [
    'lists one source or all, with the statuses of all ranks',
    async (store, peer) => {
      const id = await peer.publish('a', { workerRank: 0, status: READY });
      await peer.publish('a', { workerRank: 1, status: STALE });
      const other = await peer.publish('b', {}, { ...identity, dtype: 'fp8' });
      const [listing] = await store.list(id);
      assert.deepEqual([...(listing?.statuses ?? [])].sort(), [READY, STALE]);
      assert.deepEqual(
        (await store.list(other)).map(({ workerId }) => workerId),
        ['b'],
      );
      assert.equal((await store.list()).length, 2);
      assert.deepEqual(await store.list('0000000000000000'), []);
    },
  ],
  [
    'hands out the same objects while nothing changed, and keeps payloads through heartbeats',
    async (store, peer) => {
      const id = await peer.publish('w', { tensors: tensors(10) });
      await peer.publish('v');
      const listings = new Map((await store.list()).map((listing) => [listing.workerId, listing]));
      const record = await store.get(id, 'w');
      for (const listing of await store.list(id)) assert.equal(listing, listings.get(listing.workerId));
      assert.equal((await store.get(id, 'w'))?.worker.payload, record?.worker.payload);
      await peer.update(id, 'w', { status: READY });
      const after = new Map((await store.list(id)).map((listing) => [listing.workerId, listing]));
      assert.notEqual(after.get('w'), listings.get('w'));
      assert.equal(listings.get('w')?.status, UNKNOWN, 'what was handed out must not change');
      assert.equal(after.get('v'), listings.get('v'));
      const live = await store.get(id, 'w');
      assert.notEqual(live?.worker, record?.worker);
      assert.equal(live?.worker.payload, record?.worker.payload);
      assert.equal(record?.worker.status, UNKNOWN);
    },
  ],
  [
    'lets the reaper mark silent workers STALE and remove them an hour later, UNKNOWN ones never',
    async (store, peer) => {
      const reaper = reaperOf(store, peer);
      const id = await peer.publish('ready', { status: READY, updatedAt: peer.at() });
      await peer.publish('starting', { status: INITIALIZING, updatedAt: peer.at() });
      await peer.publish('unknown', { status: UNKNOWN, updatedAt: 1n });
      peer.clock.now += heartbeatTimeoutMs;
      await reaper.pass();
      assert.deepEqual(await peer.ids({ statusFilter: STALE }), []);
      peer.clock.now += 1;
      await reaper.pass();
      assert.deepEqual((await peer.ids({ statusFilter: STALE })).sort(), ['ready', 'starting']);
      assert.equal((await peer.get(id, 'ready')).worker?.updatedAt, peer.at());
      peer.clock.now += gcTimeoutMs;
      await reaper.pass();
      assert.equal((await peer.ids()).length, 3);
      peer.clock.now += 1;
      await reaper.pass();
      assert.deepEqual(await peer.ids(), ['unknown']);
    },
  ],
  [
    'does not let a reaper undo what came after its look',
    async (store, peer) => {
      const id = await peer.publish('silent', { status: READY, updatedAt: 1n });
      await peer.publish('beating', { status: READY, updatedAt: 1n });
      await peer.publish('gone', { status: STALE, updatedAt: 2n });
      await peer.publish('again', { status: STALE, updatedAt: 2n });
      const seen = await store.list();
      await peer.update(id, 'beating', { status: READY });
      await peer.publish('again', { agentName: 'again' });
      await reaperOf(lookingAt(seen, store), peer).pass();
      const status = async (workerId: string): Promise<unknown> => (await peer.get(id, workerId)).worker?.status;
      assert.deepEqual([await status('silent'), await status('beating'), await status('again')], [STALE, READY, UNKNOWN]);
      assert.equal((await peer.get(id, 'gone')).found, false);
    },
  ],
  [
    'never leaves half a worker when it is removed and published at once',
    async (store, peer) => {
      for (let round = 0; round < 20; round++) {
        const id = await peer.publish('w', { status: STALE, updatedAt: 7n });
        const published = (): Promise<unknown> => peer.publish('w', { agentName: 'new', updatedAt: 8n });
        const removed = (): Promise<unknown> => store.removeWorker(id, 'w', 7n);
        await Promise.all((round % 2 === 0 ? [published, removed] : [removed, published]).map((run) => run()));
        assert.equal((await peer.get(id, 'w')).worker?.agentName, 'new');
        assert.deepEqual((await peer.get(id, 'w')).identity, identity);
        assert.deepEqual(await peer.ids(), ['w']);
      }
    },
  ],
];

/** The store as one sees it whose look at it was earlier. */
function lookingAt(seen: readonly WorkerListing[], store: MetadataStore): MetadataStore {
  return {
    name: store.name,
    check: () => store.check(),
    publish: (...args) => store.publish(...args),
    list: () => Promise.resolve(seen),
    get: (...args) => store.get(...args),
    updateStatus: (...args) => store.updateStatus(...args),
    removeWorker: (...args) => store.removeWorker(...args),
    close: () => store.close(),
  };
}

export function peerOf(store: MetadataStore): Peer {
  return new Peer(callsOn(store));
}

/** Calls that meet at one record. */
import assert from 'node:assert/strict';
import { READY, STALE, tensors, UNKNOWN } from '../p2p-messages.js';
import type { Case } from './case.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

export const concurrencyCases: readonly Case[] = [
  [
    'a heartbeat and a publication at once leave the publication, with the status of either',
    async (peer) => {
      const id = await peer.publish('w', { agentName: 'first' });
      for (const round of range(20)) {
        peer.clock.now += 10;
        const agentName = `round ${String(round)}`;
        const published = peer.publish('w', { agentName, status: STALE, updatedAt: peer.at(-5), tensors: tensors(20) });
        const updated = peer.update(id, 'w', { status: READY });
        const both = round % 2 === 0 ? [published, updated] : [updated, published];
        await Promise.all(both);
        assert.equal((await updated).success, true);
        const { worker } = await peer.get(id, 'w');
        assert.equal(worker?.agentName, agentName);
        assert.equal(worker.tensors.length, 20);
        const pairs = { [STALE]: peer.at(-5), [READY]: peer.at() } as Record<number, bigint>;
        assert.equal(worker.updatedAt, pairs[worker.status], `status ${String(worker.status)} with the time of the other`);
        peer.clock.now += 10;
        await peer.update(id, 'w', { status: READY });
        assert.deepEqual(
          (await peer.list({ statusFilter: READY })).map((reference) => reference.updatedAt),
          [peer.at()],
        );
      }
    },
  ],
  [
    'workers that publish at once are all there',
    async (peer) => {
      const names = range(40).map((index) => `w${String(index)}`);
      const [id = ''] = await Promise.all(names.map((name, index) => peer.publish(name, { workerRank: index, tensors: tensors(5) })));
      await Promise.all(names.map((name, index) => peer.update(id, name, { workerRank: index, status: READY })));
      assert.deepEqual((await peer.ids({ statusFilter: READY })).sort(), [...names].sort());
      for (const name of names) assert.equal((await peer.get(id, name)).worker?.agentName, '');
    },
  ],
  [
    'ranks that publish at once are all there',
    async (peer) => {
      const ids = await Promise.all(range(16).map((workerRank) => peer.publish('w', { workerRank: 15 - workerRank })));
      assert.equal(new Set(ids).size, 1);
      const [id = ''] = ids;
      for (const workerRank of range(16)) assert.equal((await peer.update(id, 'w', { workerRank, status: UNKNOWN })).success, true);
      assert.equal((await peer.get(id, 'w')).worker?.workerRank, 0);
      assert.equal((await peer.list()).length, 1);
    },
  ],
  [
    'heartbeats at once leave one of them, whole',
    async (peer) => {
      const id = await peer.publish('w');
      const replies = await Promise.all(range(20).map((index) => peer.update(id, 'w', { status: READY, sourceLoad: index / 4 })));
      assert.ok(replies.every(({ success }) => success));
      const [reference] = await peer.list({ statusFilter: READY });
      assert.equal(reference?.updatedAt, peer.at());
      assert.ok(range(20).some((index) => index / 4 === reference.sourceLoad));
    },
  ],
];

/** ListSources: filters, order, cap, freshness. */
import assert from 'node:assert/strict';
import type { SourceStatus } from '#src/gen/model_express/p2p.js';
import { heartbeatTimeoutMs, type Peer } from '../p2p-calls.js';
import { identity, INITIALIZING, READY, STALE, UNKNOWN, unknownStatuses } from '../p2p-messages.js';
import type { Case } from './case.js';

/** Workers a, b and c of one source, updated 30, 20 and 10 ms ago. */
async function three(peer: Peer): Promise<void> {
  await peer.publish('a', { workerRank: 0, status: READY, updatedAt: peer.at(-30) });
  await peer.publish('b', { workerRank: 1, status: STALE, updatedAt: peer.at(-20) });
  await peer.publish('c', { workerRank: 2, status: READY, updatedAt: peer.at(-10) });
}

export const listCases: readonly Case[] = [
  [
    'gives nothing when there is nothing',
    async (peer) => {
      assert.deepEqual(await peer.list(), []);
      assert.deepEqual(await peer.list({ identity, statusFilter: READY, limit: 5 }), []);
    },
  ],
  [
    'gives all, newest first, when nothing is asked for',
    async (peer) => {
      await three(peer);
      assert.deepEqual(await peer.ids(), ['c', 'b', 'a']);
      await peer.publish('other', { updatedAt: peer.at(-25) }, { ...identity, dtype: 'fp8' });
      assert.deepEqual(await peer.ids(), ['c', 'b', 'other', 'a']);
    },
  ],
  [
    'filters by identity, as a whole, when it names a model',
    async (peer) => {
      await three(peer);
      await peer.publish('other', { updatedAt: 1n }, { ...identity, dtype: 'fp8' });
      assert.deepEqual(await peer.ids({ identity: { ...identity, dtype: 'FP8' } }), ['other']);
      assert.deepEqual(await peer.ids({ identity: { ...identity, modelName: 'TEST/MODEL' } }), ['c', 'b', 'a']);
      assert.deepEqual(await peer.ids({ identity: { ...identity, revision: 'none' } }), []);
      assert.equal((await peer.ids({ identity: { ...identity, modelName: '' } })).length, 4);
    },
  ],
  [
    'filters by status; numbers that are no status filter nothing',
    async (peer) => {
      await three(peer);
      assert.deepEqual(await peer.ids({ statusFilter: STALE }), ['b']);
      assert.deepEqual(await peer.ids({ statusFilter: READY }), ['c', 'a']);
      for (const statusFilter of [UNKNOWN, INITIALIZING]) assert.deepEqual(await peer.ids({ statusFilter }), []);
      for (const statusFilter of unknownStatuses(4, -1, 99)) assert.equal((await peer.ids({ statusFilter })).length, 3);
    },
  ],
  [
    'finds a worker by the status of any rank but shows the representative one',
    async (peer) => {
      const id = await peer.publish('w', { workerRank: 0, status: READY, updatedAt: peer.at() });
      await peer.publish('w', { workerRank: 1, status: INITIALIZING, updatedAt: peer.at(-5) });
      const shown = async (statusFilter: SourceStatus): Promise<unknown[]> =>
        (await peer.list({ statusFilter })).map((reference) => [reference.workerRank, reference.updatedAt]);
      assert.deepEqual(await shown(READY), [[1, peer.at(-5)]]);
      assert.deepEqual(await shown(INITIALIZING), [[1, peer.at(-5)]]);
      assert.deepEqual(await shown(STALE), []);
      await peer.update(id, 'w', { workerRank: 0, status: STALE });
      assert.deepEqual(await shown(READY), []);
      assert.deepEqual(await shown(STALE), [[1, peer.at(-5)]]);
    },
  ],
  [
    'filters by exact model name, representative rank and time',
    async (peer) => {
      await three(peer);
      assert.equal((await peer.ids({ modelNameFilter: 'Test/Model' })).length, 3);
      assert.deepEqual(await peer.ids({ modelNameFilter: 'test/model' }), []);
      assert.deepEqual(await peer.ids({ modelNameFilter: '' }), []);
      assert.deepEqual(await peer.ids({ workerRankFilter: 0 }), ['a']);
      assert.deepEqual(await peer.ids({ workerRankFilter: 3 }), []);
      assert.deepEqual(await peer.ids({ minUpdatedAt: peer.at(-20) }), ['c', 'b']);
      await peer.publish('a', { workerRank: 5, updatedAt: peer.at(-1) });
      assert.deepEqual(await peer.ids({ workerRankFilter: 0 }), []);
      assert.deepEqual(await peer.ids({ workerRankFilter: 5 }), ['a']);
    },
  ],
  [
    'takes what is exactly as old as the time-out, or of the future, for fresh; time 0 and less never',
    async (peer) => {
      await peer.publish('future', { status: READY, updatedAt: peer.at(5000) });
      await peer.publish('edge', { status: READY, updatedAt: peer.at(-heartbeatTimeoutMs) });
      await peer.publish('silent', { status: READY, updatedAt: peer.at(-heartbeatTimeoutMs - 1) });
      await peer.publish('never', { status: READY, updatedAt: 0n });
      await peer.publish('before', { status: READY, updatedAt: -1n });
      assert.deepEqual(await peer.ids({ statusFilter: READY }), ['future', 'edge']);
      assert.deepEqual(await peer.ids(), ['future', 'edge', 'silent', 'never', 'before']);
      peer.clock.now += 1;
      assert.deepEqual(await peer.ids({ statusFilter: READY }), ['future']);
      // Only READY is a matter of freshness.
      await peer.publish('old', { status: STALE, updatedAt: 1n });
      assert.deepEqual(await peer.ids({ statusFilter: STALE }), ['old']);
    },
  ],
  [
    'caps before it drops silent workers, so that a capped READY query may give fewer',
    async (peer) => {
      await three(peer);
      assert.deepEqual(await peer.ids({ limit: 2 }), ['c', 'b']);
      assert.equal((await peer.ids({ limit: 0 })).length, 3);
      assert.equal((await peer.ids({ limit: 4_294_967_295 })).length, 3);
      assert.deepEqual(await peer.ids({ statusFilter: READY, limit: 1 }), ['c']);
      // The clock may run behind: this one is the newest, but never fresh.
      peer.clock.now = 20;
      await peer.publish('two', { workerRank: 0, status: READY, updatedAt: 10n }, { ...identity, dtype: 'fp8' });
      await peer.publish('two', { workerRank: 1, status: STALE, updatedAt: 0n }, { ...identity, dtype: 'fp8' });
      await peer.publish('fresh', { status: READY, updatedAt: -1n }, { ...identity, dtype: 'fp8' });
      const query = { identity: { ...identity, dtype: 'fp8' }, statusFilter: READY };
      assert.deepEqual(await peer.ids({ ...query, limit: 1 }), []);
      assert.deepEqual(await peer.ids({ ...query, statusFilter: undefined, limit: 1 }), ['two']);
    },
  ],
  [
    'shows accelerator and topology as published, through heartbeats, and the load of the last one',
    async (peer) => {
      const id = await peer.publish('w', { accelerator: 'cuda', topology: { rack: 'r', zöne: '' } });
      const shown = async (): Promise<unknown[]> =>
        (await peer.list()).map((reference) => [reference.accelerator, reference.topology, reference.sourceLoad]);
      const topology = { rack: 'r', zöne: '' };
      assert.deepEqual(await shown(), [['cuda', topology, undefined]]);
      for (const sourceLoad of [0, 0.5, 1.25, undefined]) {
        peer.clock.now += 1;
        await peer.update(id, 'w', { status: READY, sourceLoad });
        assert.deepEqual(await shown(), [['cuda', topology, sourceLoad]]);
      }
      const [reference] = await peer.list();
      assert.deepEqual([reference?.mxSourceId, reference?.modelName], [id, 'Test/Model']);
    },
  ],
];

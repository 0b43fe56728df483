/** GetMetadata and UpdateStatus. */
import assert from 'node:assert/strict';
import { heartbeatTimeoutMs } from '../p2p-calls.js';
import { identity, INITIALIZING, READY, STALE, UNKNOWN, unknownStatuses } from '../p2p-messages.js';
import type { Case } from './case.js';

const nothing = { found: false, worker: undefined, identity: undefined };

export const getCases: readonly Case[] = [
  [
    'echoes ids only of what could have been there',
    async (peer) => {
      const id = await peer.publish('w');
      assert.deepEqual(await peer.get('', 'w'), { ...nothing, mxSourceId: '', workerId: '' });
      assert.deepEqual(await peer.get(id, ''), { ...nothing, mxSourceId: '', workerId: '' });
      assert.deepEqual(await peer.get(id, 'v'), { ...nothing, mxSourceId: id, workerId: 'v' });
      assert.deepEqual(await peer.get('0000000000000000', 'w'), { ...nothing, mxSourceId: '0000000000000000', workerId: 'w' });
      assert.deepEqual(await peer.get('*', 'größe'), { ...nothing, mxSourceId: '*', workerId: 'größe' });
      assert.deepEqual(await peer.get(id, '__attributes__'), { ...nothing, mxSourceId: id, workerId: '__attributes__' });
    },
  ],
  [
    'answers workers of any status and age with their identity',
    async (peer) => {
      for (const status of [UNKNOWN, INITIALIZING, READY, STALE]) {
        const id = await peer.publish('w', { status, updatedAt: 1n });
        const reply = await peer.get(id, 'w');
        assert.deepEqual([reply.found, reply.mxSourceId, reply.workerId, reply.worker?.status], [true, id, 'w', status]);
        assert.deepEqual(reply.identity, identity);
      }
    },
  ],
  [
    'gives the live status and time of the lowest rank',
    async (peer) => {
      const id = await peer.publish('w', { workerRank: 9, agentName: 'nine' });
      await peer.publish('w', { workerRank: 10, agentName: 'ten' });
      await peer.update(id, 'w', { workerRank: 10, status: STALE });
      assert.equal((await peer.get(id, 'w')).worker?.status, UNKNOWN);
      await peer.update(id, 'w', { workerRank: 9, status: READY });
      const { worker } = await peer.get(id, 'w');
      assert.deepEqual([worker?.agentName, worker?.status, worker?.updatedAt], ['nine', READY, peer.at()]);
    },
  ],
];

export const updateCases: readonly Case[] = [
  [
    'refuses what is incomplete or no status, in this order',
    async (peer) => {
      const status = unknownStatuses(9)[0] ?? UNKNOWN;
      assert.deepEqual(await peer.update('', '', { status }), { success: false, message: 'mx_source_id is required' });
      assert.deepEqual(await peer.update('s', '', { status }), { success: false, message: 'worker_id is required' });
      for (const wrong of unknownStatuses(4, -1)) {
        const message = `invalid status value: ${String(wrong)}`;
        assert.deepEqual(await peer.update('s', 'w', { status: wrong }), { success: false, message });
      }
    },
  ],
  [
    'tells a publisher that its record is not there, and makes none',
    async (peer) => {
      const id = await peer.publish('w', { workerRank: 1 });
      for (const [source, workerId, rank] of [
        [id, 'w', 2],
        [id, 'v', 1],
        ['0000000000000000', 'w', 1],
        [id, '__attributes__', 0],
      ] as const) {
        const message = `Failed to update status: update_status: rank ${String(rank)} not found in source '${source}' worker '${workerId}'`;
        assert.deepEqual(await peer.update(source, workerId, { workerRank: rank, status: READY }), { success: false, message });
      }
      assert.deepEqual(await peer.ids(), ['w']);
      assert.equal((await peer.get(id, 'w')).worker?.workerRank, 1);
    },
  ],
  [
    "sets the server's time, allows any transition, and leaves the rest alone",
    async (peer) => {
      const id = await peer.publish('w', { workerRank: 1, accelerator: 'cuda', agentName: 'a', updatedAt: 77n });
      for (const status of [READY, STALE, READY, INITIALIZING, UNKNOWN, READY]) {
        peer.clock.now += 1;
        const reply = await peer.update(id, 'w', { workerRank: 1, status });
        assert.deepEqual(reply, { success: true, message: `Updated status for source '${id}' worker_id 'w' rank 1` });
        const { worker } = await peer.get(id, 'w');
        assert.deepEqual([worker?.status, worker?.updatedAt, worker?.accelerator, worker?.agentName], [status, peer.at(), 'cuda', 'a']);
        assert.deepEqual(
          (await peer.list({ statusFilter: status })).map((reference) => [reference.workerId, reference.updatedAt]),
          [['w', peer.at()]],
        );
      }
    },
  ],
  [
    'brings a silent worker back among the READY ones',
    async (peer) => {
      const id = await peer.publish('w');
      await peer.update(id, 'w', { status: READY });
      peer.clock.now += heartbeatTimeoutMs + 1;
      assert.deepEqual(await peer.ids({ statusFilter: READY }), []);
      await peer.update(id, 'w', { status: READY });
      assert.deepEqual(await peer.ids({ statusFilter: READY }), ['w']);
    },
  ],
  [
    'of a rank that does not represent the worker shows in filters only',
    async (peer) => {
      const id = await peer.publish('w', { workerRank: 0, updatedAt: 5n });
      await peer.publish('w', { workerRank: 1, updatedAt: 6n });
      await peer.update(id, 'w', { workerRank: 0, status: STALE });
      const [reference] = await peer.list({ statusFilter: STALE });
      assert.deepEqual([reference?.workerRank, reference?.updatedAt], [1, 6n]);
    },
  ],
];

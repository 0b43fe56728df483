import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UpdateStatusRequest, type UpdateStatusResponse } from '#src/gen/model_express/p2p.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { updateStatus } from '#src/metadata/server/semantics/update-status.js';
import { get, identity, INITIALIZING, publish, READY, STALE, UNKNOWN, unknownStatuses } from './support.js';

const update = (store: MemoryStore, fields: Partial<UpdateStatusRequest>, now = 1000): Promise<UpdateStatusResponse> =>
  updateStatus(store, { ...UpdateStatusRequest.create(), ...fields }, now);

describe('UpdateStatus', () => {
  it('refuses what is incomplete or no status, in this order', async () => {
    const store = new MemoryStore();
    const said = async (fields: Partial<UpdateStatusRequest>): Promise<unknown> => await update(store, fields);
    assert.deepEqual(await said({ status: 9 as never }), { success: false, message: 'mx_source_id is required' });
    assert.deepEqual(await said({ mxSourceId: 's', status: 9 as never }), { success: false, message: 'worker_id is required' });
    for (const status of unknownStatuses(4, -1)) {
      const message = `invalid status value: ${String(status)}`;
      assert.deepEqual(await said({ mxSourceId: 's', workerId: 'w', status }), { success: false, message });
    }
  });

  it('tells a publisher that its record is not there', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { workerRank: 1 });
    const message = (rank: number, worker: string): string =>
      `Failed to update status: update_status: rank ${String(rank)} not found in source '${id}' worker '${worker}'`;
    assert.deepEqual(await update(store, { mxSourceId: id, workerId: 'w', workerRank: 2 }), { success: false, message: message(2, 'w') });
    assert.deepEqual(await update(store, { mxSourceId: id, workerId: 'v', workerRank: 1 }), { success: false, message: message(1, 'v') });
  });

  it("sets the server's time, allows any transition, and leaves the rest alone", async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { workerRank: 1, accelerator: 'cuda', updatedAt: 77n });
    for (const [step, status] of [READY, STALE, READY, INITIALIZING, UNKNOWN].entries()) {
      const reply = await update(store, { mxSourceId: id, workerId: 'w', workerRank: 1, status }, 5000 + step);
      assert.deepEqual(reply, { success: true, message: `Updated status for source '${id}' worker_id 'w' rank 1` });
      const { worker } = await get(store, id, 'w');
      assert.deepEqual([worker?.status, worker?.updatedAt, worker?.accelerator], [status, BigInt(5000 + step), 'cuda']);
    }
  });
});

describe('GetMetadata', () => {
  it('echoes ids only of what could have been there', async () => {
    const store = new MemoryStore();
    const nothing = { found: false, worker: undefined, identity: undefined };
    assert.deepEqual(await get(store, '', 'w'), { ...nothing, mxSourceId: '', workerId: '' });
    assert.deepEqual(await get(store, 's', ''), { ...nothing, mxSourceId: '', workerId: '' });
    assert.deepEqual(await get(store, 's', 'w'), { ...nothing, mxSourceId: 's', workerId: 'w' });
  });

  it('answers workers of any status with their identity', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { status: STALE });
    const reply = await get(store, id, 'w');
    assert.deepEqual([reply.found, reply.mxSourceId, reply.workerId, reply.worker?.status], [true, id, 'w', 3]);
    assert.deepEqual(reply.identity, identity);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { Reaper } from '#src/metadata/server/reaper.js';
import type { WorkerListing } from '#src/metadata/stores/store.js';
import { silentLogger } from '#src/observe/logger.js';
import { INITIALIZING, READY, STALE, UNKNOWN, get, list, publish } from './support.js';

const start = 10_000_000;

function reaperAt(store: MemoryStore, now: { ms: number }): Reaper {
  const times = { heartbeatTimeoutMs: 90_000, gcTimeoutMs: 3_600_000, intervalMs: 30_000 };
  return new Reaper({ store, clock: () => now.ms, logger: silentLogger, ...times });
}

describe('the reaper', () => {
  it('marks silent workers STALE at its own time, removes them an hour later, and their source with the last', async () => {
    const store = new MemoryStore();
    const now = { ms: start };
    const reaper = reaperAt(store, now);
    const id = await publish(store, 'ready', { status: READY, updatedAt: BigInt(start) });
    await publish(store, 'starting', { status: INITIALIZING, updatedAt: BigInt(start + 1) });
    const status = async (worker: string): Promise<unknown[]> => {
      const { worker: read } = await get(store, id, worker);
      return [read?.status, read?.updatedAt];
    };

    now.ms = start + 90_000;
    await reaper.pass();
    assert.deepEqual(await status('ready'), [2, BigInt(start)]);
    now.ms = start + 90_001;
    await reaper.pass();
    assert.deepEqual(await status('ready'), [3, BigInt(start + 90_001)]);
    assert.deepEqual(await status('starting'), [1, BigInt(start + 1)]);
    now.ms = start + 90_002;
    await reaper.pass();
    assert.deepEqual(await status('starting'), [3, BigInt(start + 90_002)]);

    now.ms = start + 90_001 + 3_600_000;
    await reaper.pass();
    assert.equal((await list(store, {})).length, 2);
    now.ms += 1;
    await reaper.pass();
    assert.deepEqual(
      (await list(store, {})).map((reference) => reference.workerId),
      ['starting'],
    );
    now.ms += 1;
    await reaper.pass();
    assert.deepEqual(await list(store, {}), []);
    assert.equal((await get(store, id, 'ready')).found, false);
  });

  it('leaves workers of status UNKNOWN alone for ever', async () => {
    const store = new MemoryStore();
    await publish(store, 'w', { status: UNKNOWN, updatedAt: 1n });
    await reaperAt(store, { ms: start * 1000 }).pass();
    assert.equal((await list(store, {})).length, 1);
  });

  it('takes a time in the future for now', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { status: READY, updatedAt: BigInt(start * 2) });
    await reaperAt(store, { ms: start }).pass();
    assert.equal((await get(store, id, 'w')).worker?.status, 2);
  });

  it('does not undo a heartbeat that came after its look', async () => {
    class LateHeartbeat extends MemoryStore {
      override async list(sourceId?: string): Promise<readonly WorkerListing[]> {
        const seen = await super.list(sourceId);
        for (const { sourceId: id, workerId, workerRank } of seen) {
          await this.updateStatus(id, workerId, workerRank, { status: READY, updatedAt: BigInt(start) });
        }
        return seen;
      }
    }
    const store = new LateHeartbeat();
    const id = await publish(store, 'silent', { status: READY, updatedAt: 1n });
    await publish(store, 'gone', { status: STALE, updatedAt: 1n });
    await reaperAt(store, { ms: start }).pass();
    assert.equal((await get(store, id, 'silent')).worker?.status, 2);
    assert.equal((await get(store, id, 'gone')).found, true);
  });

  it('goes on with the others when one worker fails, and survives a failing list', async () => {
    class Failing extends MemoryStore {
      listFails = false;
      override list(sourceId?: string): Promise<readonly WorkerListing[]> {
        return this.listFails ? Promise.reject(new Error('down')) : super.list(sourceId);
      }
      override updateStatus(...args: Parameters<MemoryStore['updateStatus']>): Promise<boolean> {
        return args[1] === 'bad' ? Promise.reject(new Error('broken')) : super.updateStatus(...args);
      }
    }
    const store = new Failing();
    const id = await publish(store, 'bad', { status: READY, updatedAt: 1n });
    await publish(store, 'good', { status: READY, updatedAt: 1n });
    const reaper = reaperAt(store, { ms: start });
    await reaper.pass();
    assert.equal((await get(store, id, 'good')).worker?.status, 3);
    assert.equal((await get(store, id, 'bad')).worker?.status, 2);
    store.listFails = true;
    await assert.doesNotReject(reaper.pass());
  });

  it('begins at once and stops when told', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { status: READY, updatedAt: 1n });
    const reaper = reaperAt(store, { ms: start });
    reaper.start();
    await reaper.stop();
    assert.equal((await get(store, id, 'w')).worker?.status, 3);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ListSourcesRequest } from '#src/gen/model_express/p2p.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { identity, INITIALIZING, list, publish, READY, STALE, UNKNOWN, unknownStatuses } from './support.js';

const now = 1_000_000;

async function ids(store: MemoryStore, query: Partial<ListSourcesRequest>): Promise<string[]> {
  return (await list(store, query, now)).map((reference) => reference.workerId);
}

/** Workers a, b and c of one source, updated 30, 20 and 10 ms ago. */
async function three(): Promise<MemoryStore> {
  const store = new MemoryStore();
  await publish(store, 'a', { workerRank: 0, status: READY, updatedAt: BigInt(now - 30) });
  await publish(store, 'b', { workerRank: 1, status: STALE, updatedAt: BigInt(now - 20) });
  await publish(store, 'c', { workerRank: 2, status: READY, updatedAt: BigInt(now - 10) });
  return store;
}

describe('ListSources', () => {
  it('gives all, newest first, when nothing is asked for', async () => {
    assert.deepEqual(await ids(await three(), {}), ['c', 'b', 'a']);
  });

  it('filters by identity, as a whole, when it names a model', async () => {
    const store = await three();
    await publish(store, 'other', { updatedAt: 1n }, { ...identity, dtype: 'fp8' });
    assert.deepEqual(await ids(store, { identity: { ...identity, dtype: 'FP8' } }), ['other']);
    assert.deepEqual(await ids(store, { identity: { ...identity, revision: 'none' } }), []);
    assert.equal((await ids(store, { identity: { ...identity, modelName: '' } })).length, 4);
  });

  it('filters by status; numbers that are no status filter nothing', async () => {
    const store = await three();
    assert.deepEqual(await ids(store, { statusFilter: STALE }), ['b']);
    assert.deepEqual(await ids(store, { statusFilter: UNKNOWN }), []);
    for (const statusFilter of unknownStatuses(4, -1, 99)) assert.equal((await ids(store, { statusFilter })).length, 3);
  });

  it('finds a worker by the status of any rank but shows the representative one', async () => {
    const store = new MemoryStore();
    await publish(store, 'w', { workerRank: 0, status: READY, updatedAt: BigInt(now) });
    await publish(store, 'w', { workerRank: 1, status: INITIALIZING, updatedAt: BigInt(now - 5) });
    const found = await list(store, { statusFilter: READY }, now);
    assert.deepEqual(
      found.map((reference) => [reference.workerRank, reference.updatedAt]),
      [[1, BigInt(now - 5)]],
    );
  });

  it('filters by exact model name, rank and time', async () => {
    const store = await three();
    assert.equal((await ids(store, { modelNameFilter: 'Test/Model' })).length, 3);
    assert.deepEqual(await ids(store, { modelNameFilter: 'test/model' }), []);
    assert.deepEqual(await ids(store, { workerRankFilter: 0 }), ['a']);
    assert.deepEqual(await ids(store, { minUpdatedAt: BigInt(now - 20) }), ['c', 'b']);
  });

  it('filters by training step; without one a source is left out', async () => {
    const store = new MemoryStore();
    const of = (extraParameters: Record<string, string>): Partial<typeof identity> => ({ ...identity, extraParameters });
    await publish(store, 'none', {}, identity);
    await publish(store, 'five', {}, of({ training_step: '5', version: '100' }));
    await publish(store, 'version', {}, of({ version: '+7' }));
    await publish(store, 'broken', {}, of({ training_step: 'x', version: '100' }));
    await publish(store, 'zero', {}, of({ training_step: '0', layout_signature: 'L' }));
    assert.deepEqual((await ids(store, { minTrainingStep: 0n })).sort(), ['five', 'version', 'zero']);
    assert.deepEqual((await ids(store, { minTrainingStep: 6n })).sort(), ['version']);
    const references = await list(store, {}, now);
    const steps = Object.fromEntries(references.map((reference) => [reference.workerId, reference.trainingStep]));
    assert.deepEqual(steps, { none: undefined, five: 5n, version: 7n, broken: undefined, zero: 0n });
    assert.deepEqual(
      references.flatMap((reference) => reference.layoutSignature ?? []),
      ['L'],
    );
  });

  it('caps before it drops silent workers, so that a capped READY query may give fewer', async () => {
    const store = new MemoryStore();
    await publish(store, 'future', { status: READY, updatedAt: BigInt(now + 5000) });
    await publish(store, 'edge', { status: READY, updatedAt: BigInt(now - 90_000) });
    await publish(store, 'silent', { status: READY, updatedAt: BigInt(now - 90_001) });
    await publish(store, 'never', { status: READY, updatedAt: 0n });
    assert.deepEqual(await ids(store, { statusFilter: READY }), ['future', 'edge']);
    assert.deepEqual(await ids(store, { statusFilter: READY, limit: 1 }), ['future']);
    assert.deepEqual(await ids(store, { limit: 3 }), ['future', 'edge', 'silent']);
    assert.equal((await ids(store, { limit: 0 })).length, 4);

    const mixed = new MemoryStore();
    await publish(mixed, 'two', { workerRank: 0, status: READY, updatedAt: BigInt(now) });
    await publish(mixed, 'two', { workerRank: 1, status: STALE, updatedAt: 0n });
    await publish(mixed, 'fresh', { status: READY, updatedAt: -1n });
    assert.deepEqual(await ids(mixed, { statusFilter: READY, limit: 1 }), []);
  });

  it('shows what was published of accelerator and topology, and the load of the last update', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { accelerator: 'cuda', topology: { rack: 'r' } });
    assert.equal((await list(store, {}))[0]?.sourceLoad, undefined);
    await store.updateStatus(id, 'w', 0, { status: READY, updatedAt: 1n, sourceLoad: 0 });
    const [reference] = await list(store, {});
    assert.deepEqual([reference?.accelerator, reference?.topology, reference?.sourceLoad], ['cuda', { rack: 'r' }, 0]);
    assert.deepEqual([reference?.mxSourceId, reference?.modelName], [id, 'Test/Model']);
  });
});

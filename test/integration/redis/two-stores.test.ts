/** Several servers on one Redis are as one. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { READY, STALE, tensors, UNKNOWN } from '../../support/p2p-messages.js';
import { noRedis } from '../../support/redis.js';
import { openStore, useRedis } from './support.js';

describe('two stores on one Redis', { skip: noRedis }, () => {
  const redis = useRedis();

  async function two(test: TestContext): Promise<{ stores: [MetadataStore, MetadataStore]; here: Peer; there: Peer }> {
    const stores: [MetadataStore, MetadataStore] = [await openStore(test, redis()), await openStore(test, redis())];
    const clock = { now: 1_700_000_000_000 };
    return { stores, here: new Peer(callsOn(stores[0], clock)), there: new Peer(callsOn(stores[1], clock)) };
  }

  it('see at once what the other has acknowledged, again and again', async (test) => {
    const { stores, here, there } = await two(test);
    const id = await here.publish('bystander');
    for (let round = 0; round < 100; round++) {
      const [writer, reader] = round % 2 === 0 ? [here, there] : [there, here];
      here.clock.now++;
      const agentName = `agent ${String(round)}`;
      await writer.publish('w', { agentName, tensors: tensors(round), status: UNKNOWN });
      const { worker } = await reader.get(id, 'w');
      assert.deepEqual([worker?.agentName, worker?.tensors.length, worker?.status], [agentName, round, UNKNOWN]);
      assert.deepEqual(await reader.ids({ statusFilter: READY }), []);
      await writer.update(id, 'w', { status: READY });
      assert.deepEqual(await reader.ids({ statusFilter: READY }), ['w']);
      assert.equal((await reader.get(id, 'w')).worker?.updatedAt, reader.at());
    }
    assert.equal(await stores[0].removeWorker(id, 'w'), true);
    assert.equal((await there.get(id, 'w')).found, false);
    assert.deepEqual(await there.ids(), ['bystander']);
    assert.equal((await there.update(id, 'w', { status: READY })).success, false);
    assert.equal(await stores[1].removeWorker(id, 'bystander'), true);
    assert.deepEqual([await here.ids(), await stores[0].list(id)], [[], []]);
  });

  it('agree on the rank that was published last, and on the statuses of the others', async (test) => {
    const { here, there } = await two(test);
    const id = await here.publish('w', { workerRank: 0, updatedAt: 5n });
    assert.deepEqual(
      (await there.list()).map(({ workerRank }) => workerRank),
      [0],
    );
    await there.publish('w', { workerRank: 1, updatedAt: 5n });
    assert.deepEqual(
      (await here.list()).map(({ workerRank }) => workerRank),
      [1],
    );
    // Only the worker's own hash tells that the rank in the background is READY.
    await there.update(id, 'w', { workerRank: 0, status: READY });
    assert.deepEqual(await here.ids({ statusFilter: READY }), [], 'the time is that of rank 1, which is not fresh');
    await here.update(id, 'w', { workerRank: 1, status: STALE });
    assert.deepEqual(await there.ids({ statusFilter: READY }), ['w']);
    assert.deepEqual(await here.ids({ statusFilter: STALE }), ['w']);
    await there.update(id, 'w', { workerRank: 0, status: STALE });
    assert.deepEqual(await here.ids({ statusFilter: READY }), []);
  });

  it('follow the identity that was published last', async (test) => {
    const { stores, here, there } = await two(test);
    const id = await here.publish('w', {}, { modelName: 'Org/Model' });
    assert.deepEqual(await there.ids({ modelNameFilter: 'Org/Model' }), ['w']);
    assert.equal(await there.publish('v', {}, { modelName: 'ORG/model' }), id);
    for (const peer of [here, there]) {
      assert.deepEqual((await peer.ids({ modelNameFilter: 'ORG/model' })).sort(), ['v', 'w']);
      assert.equal((await peer.get(id, 'w')).identity?.modelName, 'ORG/model');
    }
    const [first, second] = [await stores[0].get(id, 'w'), await stores[0].get(id, 'w')];
    assert.equal(first?.source, second?.source);
    assert.equal(first?.worker, second?.worker);
  });

  it('keep either a heartbeat or a publication that come at the same time, never half of both', async (test) => {
    const { here, there } = await two(test);
    const id = await here.publish('w', { accelerator: 'first' });
    for (let round = 0; round < 50; round++) {
      here.clock.now += 2;
      const accelerator = `a${String(round)}`;
      const topology = { rack: accelerator };
      const published = here.publish('w', { accelerator, topology, status: STALE, updatedAt: here.at(-1), tensors: tensors(50) });
      const beats = [there.update(id, 'w', { status: READY }), here.update(id, 'w', { status: READY })];
      assert.ok((await Promise.all(beats)).every(({ success }) => success));
      await published;
      const [reference] = await there.list();
      assert.equal(reference?.accelerator, accelerator);
      assert.deepEqual(reference.topology, topology, 'a heartbeat must not bring back what it was made from');
      const { worker } = await here.get(id, 'w');
      assert.deepEqual([worker?.accelerator, worker?.tensors.length], [accelerator, 50]);
      assert.equal(worker?.updatedAt, worker?.status === READY ? here.at() : here.at(-1));
    }
  });

  it('serve many readers of a large worker while it is published again', async (test) => {
    const { here, there } = await two(test);
    const id = await here.publish('w', { agentName: '0', tensors: tensors(3000) });
    let newest = 0;
    const reads = Array.from({ length: 20 }, async () => {
      for (let read = 0; read < 10; read++) {
        const expected = newest;
        const { worker } = await there.get(id, 'w');
        assert.ok(Number(worker?.agentName) >= expected, `read ${worker?.agentName ?? ''} after ${String(expected)} was acknowledged`);
        assert.equal(worker?.tensors.length, 3000 + Number(worker?.agentName));
      }
    });
    for (let round = 1; round <= 5; round++) {
      await here.publish('w', { agentName: String(round), tensors: tensors(3000 + round) });
      newest = round;
    }
    await Promise.all(reads);
  });
});

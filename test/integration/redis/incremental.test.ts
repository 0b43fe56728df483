/** Lists that read only what has changed see what others write, in whichever steps they write it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { READY } from '../../support/p2p-messages.js';
import { noRedis } from '../../support/redis.js';
import { openStore, useRedis } from './support.js';

describe('lists of a Redis that others write to', { skip: noRedis }, () => {
  const redis = useRedis();

  it('see each step of a publication that is written field by field, between heartbeats of others', async (test) => {
    const peer = new Peer(callsOn(await openStore(test, redis())));
    const id = await peer.publish('w', { status: READY, updatedAt: peer.at() });
    await peer.publish('other', { status: READY, updatedAt: peer.at() });
    const [source, key] = [`mx:source:${id}`, `mx:source:${id}:w`];
    const times = async (): Promise<Map<string, bigint>> =>
      new Map((await peer.list()).map(({ workerId, updatedAt }) => [workerId, updatedAt]));
    const { 0: record = '' } = await redis().hash(key);
    for (let round = 0; round < 20; round++) {
      const before = (await times()).get('w') ?? 0n;
      const { w: summary = '' } = await redis().hash(source);
      const after = before + 1n;
      const text = summary.replace(String(before), String(after));
      assert.notEqual(text, summary);
      // As ModelExpress' servers publish: four writes, and anybody may read between them.
      for (const [hash, field, value] of [
        [key, '0', record],
        [key, 'status:0', text],
        [source, 'w', text],
      ] as const) {
        await redis().command('HSET', hash, field, value);
        peer.clock.now += 1;
        await peer.update(id, 'other', { status: READY });
        assert.equal((await times()).get('other'), peer.at(), 'the heartbeat that was acknowledged');
      }
      assert.equal((await times()).get('w'), after);
      // A second rank appears, first in the worker's hash and then in the source's.
      const [rank, rankText] = [record.replace('"worker_rank":0', '"worker_rank":1'), text.replace('"worker_rank":0', '"worker_rank":1')];
      for (const [hash, field, value] of [
        [key, '1', rank],
        [key, 'status:1', rankText],
        [source, 'w', rankText],
      ] as const) {
        await redis().command('HSET', hash, field, value);
        peer.clock.now += 1;
        await peer.update(id, 'other', { status: READY });
        await peer.list();
      }
      const ranks = (await peer.list()).map(({ workerId, workerRank }) => [workerId, workerRank]);
      assert.deepEqual(new Map(ranks as [string, number][]).get('w'), 1);
      await redis().command('HDEL', key, '1', 'status:1');
      await redis().command('HSET', source, 'w', text);
      assert.equal((await times()).get('w'), after);
    }
  });

  it('see workers that come and go at another server, one for one', async (test) => {
    const [store, other] = [await openStore(test, redis()), await openStore(test, redis())];
    const clock = { now: 1_700_000_000_000 };
    const [here, there] = [new Peer(callsOn(store, clock)), new Peer(callsOn(other, clock))];
    const id = await there.publish('w0');
    await there.publish('stays');
    for (let round = 0; round < 50; round++) {
      assert.deepEqual((await here.ids()).sort(), ['stays', `w${String(round)}`]);
      // The number of workers is the same afterwards.
      await Promise.all([
        there.publish(`w${String(round + 1)}`),
        other.removeWorker(id, `w${String(round)}`),
        there.update(id, 'stays', { status: READY }),
      ]);
    }
  });
});

/** Redis that goes away, hangs, refuses, and comes back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { openRedisStore } from '#src/metadata/stores/redis/index.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { createLogger } from '#src/observe/logger.js';
import { eventually } from '../../support/eventually.js';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { READY, tensors } from '../../support/p2p-messages.js';
import { noRedis, TestRedis } from '../../support/redis.js';
import { unusedPort } from '../metadata/support.js';
import { openStore, useRedis } from './support.js';

/** Bounds that a loaded computer keeps too. */
const muchMs = 10_000;

const isStoreError = (error: unknown): boolean => error instanceof WeightcastError && error.code === 'ERR_STORE';

/** Every method of a store, each of which must fail. */
function allCalls(store: MetadataStore, id: string): Promise<unknown>[] {
  const peer = new Peer(callsOn(store));
  return [
    store.check(),
    store.list(),
    store.list(id),
    store.get(id, 'w'),
    store.updateStatus(id, 'w', 0, { status: READY, updatedAt: peer.at() }),
    store.removeWorker(id, 'w'),
    peer.publish('v', { tensors: tensors(10) }),
  ];
}

async function assertAllFail(store: MetadataStore, id: string): Promise<void> {
  const begin = performance.now();
  for (const result of await Promise.allSettled(allCalls(store, id))) {
    assert.equal(result.status, 'rejected');
    assert.ok(isStoreError(result.reason), String(result.reason));
    assert.match(String(result.reason), /Redis/);
  }
  assert.ok(performance.now() - begin < muchMs);
}

const isUsable = (store: MetadataStore) => async (): Promise<true | undefined> =>
  store.check().then(
    () => true as const,
    () => undefined,
  );

describe('Redis lost and back', { skip: noRedis }, () => {
  const redis = useRedis({ durable: true, password: 'p@ss/word' });

  it('fails at once while it is away, and loses nothing that was acknowledged', async (test) => {
    const store = await openStore(test, redis());
    const peer = new Peer(callsOn(store));
    const id = await peer.publish('w', { agentName: 'kept', tensors: tensors(20) });
    await peer.update(id, 'w', { status: READY });
    const before = [await peer.list(), await peer.get(id, 'w')];
    for (let round = 0; round < 2; round++) {
      await redis().stop();
      await eventually('notice', async () => ((await isUsable(store)()) === undefined ? true : undefined));
      await assertAllFail(store, id);
      await redis().start();
      await eventually('Redis again', isUsable(store));
      assert.deepEqual([await peer.list(), await peer.get(id, 'w')], before);
      peer.clock.now++;
      assert.equal((await peer.update(id, 'w', { status: READY })).success, true);
      before.splice(0, 2, await peer.list(), await peer.get(id, 'w'));
      assert.deepEqual(await peer.ids(), ['w'], 'the publication that failed was not made');
    }
  });

  it('does not take what it knew for what is there when Redis comes back with less', async (test) => {
    const store = await openStore(test, redis());
    const peer = new Peer(callsOn(store));
    const id = await peer.publish('w');
    await peer.publish('v');
    await peer.list();
    await peer.get(id, 'w');
    await redis().command('CLIENT', 'KILL', 'TYPE', 'normal');
    await redis().command('FLUSHALL');
    await eventually('the connection again', isUsable(store));
    assert.deepEqual([await peer.ids(), (await peer.get(id, 'w')).found], [[], false]);
    assert.equal((await peer.update(id, 'w', { status: READY })).success, false);
  });

  it('gives a Redis up that does not answer, within a bounded time, and returns to it', async (test) => {
    const store = await openStore(test, redis(), { commandTimeoutMs: 300 });
    const peer = new Peer(callsOn(store));
    const id = await peer.publish('w');
    await peer.list();
    redis().signal('SIGSTOP');
    try {
      await assertAllFail(store, id);
      // From here on there is no connection to wait on.
      await assertAllFail(store, id);
    } finally {
      redis().signal('SIGCONT');
    }
    await eventually('answers', isUsable(store));
    assert.equal((await peer.get(id, 'w')).found, true);
    await peer.publish('x');
    assert.ok((await peer.ids()).includes('x'));
  });

  it('passes on what Redis says, and goes on', async (test) => {
    const store = await openStore(test, redis());
    const peer = new Peer(callsOn(store));
    const id = await peer.publish('w');
    await redis().command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      await assert.rejects(peer.publish('v'), (error) => isStoreError(error) && /Redis refused: .*OOM/.test(String(error)));
      assert.equal((await peer.get(id, 'w')).found, true);
    } finally {
      await redis().command('CONFIG', 'SET', 'maxmemory', '0');
    }
    await peer.publish('v');
    assert.deepEqual((await peer.ids()).sort(), ['v', 'w']);
  });

  it('never shows credentials', async (test) => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'debug', destination: { write: (line: string) => lines.push(line) } });
    const store = await openStore(test, redis(), { logger });
    await redis().stop();
    await eventually('notice', () => (lines.length > 0 ? true : undefined));
    const reasons = await Promise.allSettled(allCalls(store, '0123456789abcdef'));
    await redis().start();
    await eventually('answers', isUsable(store));
    const wrong = `redis://user:s%40cret@127.0.0.1:${String(redis().port)}/0`;
    const refused = openRedisStore({ url: wrong, connectTimeoutMs: muchMs });
    await assert.rejects(refused, (error) => isStoreError(error) && /redis:\/\/\*\*\*@127\.0\.0\.1.*WRONGPASS/.test(String(error)));
    for (const url of ['http://user:s%40cret@host', 'redis://user:s%40cret@host/x', 'redis://user:s%40cret@', 's%40cret']) {
      await assert.rejects(openRedisStore({ url }), (error) => {
        reasons.push({ status: 'rejected', reason: error });
        return error instanceof WeightcastError && error.code === 'ERR_INVALID_ARGUMENT';
      });
    }
    const shown = [...lines, ...reasons.map((result) => JSON.stringify(result) + String((result as { reason: unknown }).reason))].join(
      '\n',
    );
    assert.match(lines.join(''), /lost.*\*\*\*@127\.0\.0\.1[^]*answers again/);
    for (const secret of ['p@ss', 'p%40ss', 's%40cret@']) assert.ok(!shown.includes(secret), shown);
  });

  it('is an error at start when it cannot be reached in time', async () => {
    const url = `redis://:secret@127.0.0.1:${String(await unusedPort())}`;
    await assert.rejects(openRedisStore({ url, connectTimeoutMs: 2000 }), (error) => {
      assert.ok(isStoreError(error));
      assert.match(String(error), /cannot connect to Redis at redis:\/\/\*\*\*@127\.0\.0\.1:\d+: .*ECONNREFUSED.*gave up after 2 s/);
      return true;
    });
  });

  it('may start later than the store', async (test) => {
    const late = await TestRedis.start();
    test.after(() => late.close());
    await late.stop();
    const opening = openRedisStore({ url: late.url, connectTimeoutMs: 30_000 });
    await late.start();
    const store = await opening;
    await store.check();
    await store.close();
  });

  it('is left within a bounded time, also while it hangs; then every call rejects', async () => {
    const store = await openRedisStore({ url: redis().url, commandTimeoutMs: 200 });
    await new Peer(callsOn(store)).publish('w');
    redis().signal('SIGSTOP');
    try {
      const pending = Promise.allSettled(allCalls(store, '0123456789abcdef'));
      const begin = performance.now();
      await Promise.all([store.close(), store.close()]);
      assert.ok(performance.now() - begin < muchMs);
      await pending;
    } finally {
      redis().signal('SIGCONT');
    }
    await assertAllFail(store, '0123456789abcdef');
  });
});

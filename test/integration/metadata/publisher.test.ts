import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { mxSourceId } from '#src/identity/index.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { Publisher, type PublisherOptions } from '#src/metadata/publisher.js';
import type { MetadataServer } from '#src/metadata/server/server.js';
import { connect, identity, measured, memoryLogger, startServer, unusedPort, until, worker } from './support.js';

const { SOURCE_STATUS_READY: READY, SOURCE_STATUS_STALE: STALE } = SourceStatus;

/** Counts heartbeats; refuses them when told to. */
class WatchedStore extends MemoryStore {
  readonly seen: SourceStatus[] = [];
  publications = 0;
  override publish(...args: Parameters<MemoryStore['publish']>): Promise<void> {
    this.publications++;
    return super.publish(...args);
  }
  override updateStatus(...args: Parameters<MemoryStore['updateStatus']>): Promise<boolean> {
    this.seen.push(args[3].status);
    return super.updateStatus(...args);
  }
}

type Given = Partial<PublisherOptions> & Pick<PublisherOptions, 'client'>;

async function start(test: { after(done: () => Promise<void>): void }, options: Given): Promise<Publisher> {
  const publisher = await Publisher.start({
    identity,
    worker: worker({ workerRank: 3 }),
    workerId: 'w',
    heartbeatIntervalMs: 20,
    ...options,
  });
  test.after(() => publisher.stop());
  return publisher;
}

async function statusAt(server: MetadataServer, client: PublisherOptions['client']): Promise<SourceStatus | undefined> {
  assert.equal(client.server, server.address);
  return (await client.getMetadata(mxSourceId(identity), 'w'))?.worker.status;
}

describe('a publisher', () => {
  it('is READY once it has started, beats, and is STALE once it has stopped', async (test) => {
    const store = new WatchedStore();
    const server = await startServer(test, { store });
    const client = connect(test, server.address);
    const ids: string[] = [];
    const publisher = await start(test, { client, onSourceId: (id) => ids.push(id) });
    assert.equal(publisher.sourceId, mxSourceId(identity));
    assert.deepEqual(ids, [publisher.sourceId]);
    assert.deepEqual(
      (await client.listSources({ identity, statusFilter: READY })).map((reference) => reference.workerRank),
      [3],
    );
    await until(() => store.seen.length >= 4);
    await publisher.stop();
    await publisher.stop();
    assert.equal(await statusAt(server, client), STALE);
    assert.deepEqual([store.seen.at(-1), store.seen.filter((status) => status === STALE).length], [STALE, 1]);
    assert.equal(store.publications, 1);
    const beats = store.seen.length;
    await new Promise((done) => setTimeout(done, 100));
    assert.equal(store.seen.length, beats);
  });

  it('fails to start at once when the server cannot be reached', async (test) => {
    const client = connect(test, `127.0.0.1:${String(await unusedPort())}`);
    const { ms } = await measured(() => assert.rejects(start(test, { client }), { code: 'ERR_SERVER_UNREACHABLE', peer: client.server }));
    assert.ok(ms < 1000, `${ms.toFixed(0)} ms`);
  });

  it('fails to start when it is refused or aborted', async (test) => {
    const server = await startServer(test);
    const client = connect(test, server.address);
    await assert.rejects(start(test, { client, identity: {} }), { code: 'ERR_PUBLISH_REFUSED', message: /model_name is required/ });
    await assert.rejects(start(test, { client, signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' });
    await assert.rejects(start(test, { client, heartbeatIntervalMs: 0 }), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('publishes again when the server was restarted and has lost everything', async (test) => {
    const first = await startServer(test);
    const client = connect(test, first.address);
    const logger = memoryLogger();
    const ids: string[] = [];
    const publisher = await start(test, { client, logger, onSourceId: (id) => ids.push(id) });
    await first.close(0);
    await until(() => logger.lines.some((line) => line.startsWith('warn cannot reach the metadata server')));

    const second = await startServer(test, { listen: first.address });
    await until(async () => (await statusAt(second, client).catch(() => undefined)) === READY);
    assert.deepEqual(ids, [publisher.sourceId, publisher.sourceId]);
    const [refused, published, answers] = ['warn heartbeat refused', 'info published again', 'info the metadata server answers again'].map(
      (text) => logger.lines.filter((line) => line.startsWith(text)).length,
    );
    assert.deepEqual([refused, published, answers], [2, 1, 1]);
    await publisher.stop();
    assert.equal(await statusAt(second, client), STALE);
  });

  it('publishes again after two refusals in a row, not after one', async (test) => {
    class Forgetful extends WatchedStore {
      refuse = 0;
      override async updateStatus(...args: Parameters<MemoryStore['updateStatus']>): Promise<boolean> {
        const known = await super.updateStatus(...args);
        return this.refuse-- > 0 ? false : known;
      }
    }
    const store = new Forgetful();
    const server = await startServer(test, { store });
    await start(test, { client: connect(test, server.address) });
    store.refuse = 1;
    await until(() => store.refuse < -3);
    assert.equal(store.publications, 1);
    store.refuse = 2;
    await until(() => store.refuse < -3);
    assert.equal(store.publications, 2);
  });

  it('marks itself STALE once while it is not healthy, and READY again afterwards', async (test) => {
    const store = new WatchedStore();
    const server = await startServer(test, { store });
    const client = connect(test, server.address);
    let healthy: () => boolean = () => true;
    await start(test, { client, healthy: () => healthy() });
    healthy = () => false;
    await until(() => store.seen.includes(STALE));
    const beats = store.seen.length;
    healthy = () => {
      throw new Error('probe failed');
    };
    await new Promise((done) => setTimeout(done, 150));
    assert.equal(store.seen.length, beats);
    healthy = () => true;
    await until(async () => (await statusAt(server, client)) === READY);
  });

  it('stops within two seconds or so when the server hangs or is gone', async (test) => {
    class Hanging extends MemoryStore {
      hang = false;
      override updateStatus(...args: Parameters<MemoryStore['updateStatus']>): Promise<boolean> {
        return this.hang ? new Promise(() => undefined) : super.updateStatus(...args);
      }
    }
    const store = new Hanging();
    const server = await startServer(test, { store });
    const client = connect(test, server.address);
    const logger = memoryLogger();
    const publisher = await start(test, { client, logger });
    store.hang = true;
    await new Promise((done) => setTimeout(done, 60));
    const { ms } = await measured(() => publisher.stop());
    assert.ok(ms < 3000, `${ms.toFixed(0)} ms`);
    assert.ok(logger.lines.some((line) => line.startsWith('warn cannot mark the worker STALE')));

    const other = await startServer(test);
    const gone = await start(test, { client: connect(test, other.address) });
    await other.close(0);
    const { ms: afterwards } = await measured(() => gone.stop());
    assert.ok(afterwards < 3000, `${afterwards.toFixed(0)} ms`);
  });
});

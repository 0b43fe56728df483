/** What a publisher does when its server forgets it, is away, or takes it no more; and what of it listings show. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { WeightcastError } from '#src/errors.js';
import { P2pServiceService, type PublishMetadataRequest, SourceStatus } from '#src/gen/model_express/p2p.js';
import { Publisher, type PublisherOptions } from '#src/metadata/publisher.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { connect, identity, memoryLogger, startServer, until, worker } from './support.js';

const { SOURCE_STATUS_READY: READY } = SourceStatus;

/** A store whose two ways of taking something can be shut. */
class Moody extends MemoryStore {
  publications = 0;
  heartbeats = 0;
  takesHeartbeats = true;
  takesPublications = true;
  override publish(...args: Parameters<MemoryStore['publish']>): Promise<void> {
    this.publications++;
    return this.takesPublications ? super.publish(...args) : Promise.reject(new Error('disk full'));
  }
  override updateStatus(...args: Parameters<MemoryStore['updateStatus']>): Promise<boolean> {
    this.heartbeats++;
    return this.takesHeartbeats ? super.updateStatus(...args) : Promise.resolve(false);
  }
}

async function start(test: TestContext, options: Partial<PublisherOptions> & Pick<PublisherOptions, 'client'>): Promise<Publisher> {
  const publisher = await Publisher.start({ identity, worker: worker(), workerId: 'w', heartbeatIntervalMs: 20, ...options });
  test.after(() => publisher.stop());
  return publisher;
}

describe('a publisher that its server does not know any more', () => {
  it('tries to publish until its time is over, says so loudly, and then does nothing more', async (test) => {
    const store = new Moody();
    const server = await startServer(test, { store });
    const logger = memoryLogger();
    const givenUp: WeightcastError[] = [];
    const publisher = await start(test, {
      client: connect(test, server.address),
      publishTimeoutMs: 200,
      onGivenUp: (error) => givenUp.push(error),
      logger,
    });
    store.takesHeartbeats = false;
    store.takesPublications = false;
    await until(() => givenUp.length > 0);
    assert.equal(givenUp[0]?.code, 'ERR_PUBLISH_REFUSED');
    assert.match(givenUp[0].message, /cannot publish worker w again at .* for 200 ms, given up: .*disk full/);
    assert.ok(store.publications >= 3, 'it did try more than once');
    assert.ok(logger.lines.some((line) => line.startsWith('error publishing again failed for too long')));
    const { publications, heartbeats } = store;
    store.takesPublications = true;
    await new Promise((done) => setTimeout(done, 150));
    assert.deepEqual([store.publications, store.heartbeats, givenUp.length], [publications, heartbeats, 1]);
    await publisher.stop();
  });

  it('is taken again when the server takes publications again in time', async (test) => {
    const store = new Moody();
    const server = await startServer(test, { store });
    await start(test, { client: connect(test, server.address) });
    store.takesHeartbeats = false;
    store.takesPublications = false;
    await until(() => store.publications >= 3);
    store.takesHeartbeats = true;
    store.takesPublications = true;
    const { publications } = store;
    await until(() => store.publications > publications);
    const after = store.heartbeats;
    await until(() => store.heartbeats > after + 2);
    assert.equal(store.publications, publications + 1);
  });
});

it('a publisher does not publish again because calls failed: the server may be as it was', async (test) => {
  const store = new Moody();
  const first = await startServer(test, { store });
  const logger = memoryLogger();
  const client = connect(test, first.address);
  await start(test, { client, logger });
  await first.close(0);
  const failures = (): number => logger.lines.filter((line) => line.startsWith('warn cannot reach the metadata server')).length;
  await until(() => failures() >= 4);
  const { heartbeats } = store;
  await startServer(test, { store, listen: first.address });
  await until(() => store.heartbeats > heartbeats + 3);
  assert.equal(store.publications, 1);
});

it('a publisher shows topology, accelerator and its present load in listings', async (test) => {
  const server = await startServer(test);
  const client = connect(test, server.address);
  let load: number | undefined = 0.25;
  const record = worker({ accelerator: 'cuda', topology: { rack: 'r3', host: 'node7' } });
  await start(test, { client, worker: record, sourceLoad: async () => load });
  const listed = async (): Promise<unknown> => {
    const [found] = await client.listSources({ identity, statusFilter: READY });
    return found && { accelerator: found.accelerator, topology: found.topology, load: found.sourceLoad };
  };
  const expected = { accelerator: 'cuda', topology: { rack: 'r3', host: 'node7' } };
  assert.deepEqual(await listed(), { ...expected, load: 0.25 });
  for (const next of [0, undefined, 1]) {
    load = next;
    await until(async () => ((await listed()) as { load?: number }).load === next);
  }
});

it('a publisher names its pod', async (test) => {
  const requests: PublishMetadataRequest[] = [];
  const server = new Server();
  server.addService(P2pServiceService, {
    publishMetadata: (call: { request: PublishMetadataRequest }, callback: (error: null, reply: object) => void) => {
      requests.push(call.request);
      callback(null, { success: true, message: '', mxSourceId: 's1', workerId: 'w' });
    },
    updateStatus: (_call: unknown, callback: (error: null, reply: object) => void) => callback(null, { success: true, message: '' }),
  });
  const port = await new Promise<number>((done) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => done(bound));
  });
  test.after(() => server.forceShutdown());
  const client = connect(test, `127.0.0.1:${String(port)}`);
  await start(test, { client, pod: { name: 'sglang-0', uid: '5d', namespace: 'inference' } });
  await start(test, { client });
  const pods = requests.map(({ workerId, podName, podUid, podNamespace }) => [workerId, podName, podUid, podNamespace]);
  assert.deepEqual(pods, [
    ['w', 'sglang-0', '5d', 'inference'],
    ['w', '', '', ''],
  ]);
});

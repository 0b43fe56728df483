import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Client, Metadata } from '@grpc/grpc-js';
import {
  GetMetadataRequest,
  ListSourcesRequest,
  P2pServiceService,
  PublishMetadataRequest,
  UpdateStatusRequest,
} from '#src/gen/model_express/p2p.js';
import { silentObserver, type ServerObserver } from '#src/metadata/server/observer.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { call, connectRaw, identity, startServer, until, worker } from './support.js';

const { publishMetadata, listSources, getMetadata, updateStatus } = P2pServiceService;

function listening(): ServerObserver & { readonly ended: string[]; readonly started: string[] } {
  const [started, ended]: string[][] = [[], []];
  return {
    ...silentObserver,
    started: started!,
    ended: ended!,
    callStarted: (method) => void started!.push(method),
    callEnded: (method, outcome, seconds) => {
      assert.ok(seconds >= 0 && seconds < 60);
      ended!.push(`${method} ${outcome}`);
    },
  };
}

/** Sends bytes as the request of a method, whatever they are. */
function send(client: Client, path: string, bytes: Buffer): Promise<Buffer> {
  return new Promise((done, failed) => {
    client.makeUnaryRequest(
      path,
      (same: Buffer) => same,
      (same: Buffer) => same,
      bytes,
      (error, reply) => {
        if (error === null) done(reply as Buffer);
        else failed(error);
      },
    );
  });
}

describe('the observer of a metadata server', () => {
  it('hears how each call ended, although all of them end with status OK', async (test) => {
    const observer = listening();
    const server = await startServer(test, { observer });
    const client = connectRaw(test, server.address);
    const request = { ...PublishMetadataRequest.create(), identity, worker: worker(), workerId: 'w' };
    const { mxSourceId } = await call(client, publishMetadata, request);
    await call(client, publishMetadata, { ...request, workerId: '' });
    await call(client, listSources, ListSourcesRequest.create());
    await call(client, getMetadata, { mxSourceId, workerId: 'w' });
    await call(client, getMetadata, { mxSourceId, workerId: 'v' });
    await call(client, getMetadata, GetMetadataRequest.create());
    const update = { ...UpdateStatusRequest.create(), mxSourceId };
    await call(client, updateStatus, { ...update, workerId: 'w' });
    await call(client, updateStatus, { ...update, workerId: 'v' });
    await call(client, updateStatus, update);
    assert.deepEqual(observer.ended, [
      'PublishMetadata ok',
      'PublishMetadata invalid_argument',
      'ListSources ok',
      'GetMetadata ok',
      'GetMetadata not_found',
      'GetMetadata invalid_argument',
      'UpdateStatus ok',
      'UpdateStatus not_found',
      'UpdateStatus invalid_argument',
    ]);
    assert.equal(observer.started.length, observer.ended.length);
  });

  it('hears of stores that fail and of requests that are none', async (test) => {
    class Broken extends MemoryStore {
      override list(): Promise<never> {
        return Promise.reject(new Error('disk on fire'));
      }
    }
    const observer = listening();
    const server = await startServer(test, { observer, store: new Broken() });
    const client = connectRaw(test, server.address);
    await call(client, listSources, ListSourcesRequest.create());
    const noise = Buffer.from([0x0a, 0xff]);
    const published = publishMetadata.responseDeserialize(await send(client, publishMetadata.path, noise));
    assert.equal(published.success, false);
    assert.match(published.message, /^Failed to publish metadata: malformed request/);
    assert.equal((await send(client, listSources.path, noise)).length, 0);
    // These two are decoded by gRPC, which has a status for it.
    await assert.rejects(send(client, getMetadata.path, noise), { code: 13 });
    await assert.rejects(send(client, updateStatus.path, noise), { code: 13 });
    assert.deepEqual(observer.ended, ['ListSources backend_error', 'PublishMetadata invalid_argument', 'ListSources invalid_argument']);
  });

  it('hears of callers who went before they were answered', async (test) => {
    class Slow extends MemoryStore {
      answer: (() => void) | undefined;
      override async get(): Promise<undefined> {
        await new Promise<void>((done) => (this.answer = done));
      }
    }
    const observer = listening();
    const store = new Slow();
    const server = await startServer(test, { observer, store });
    const client = connectRaw(test, server.address);
    const { path, requestSerialize, responseDeserialize } = getMetadata;
    const ids = { mxSourceId: 's', workerId: 'w' };
    const gone = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, ids, new Metadata(), () => undefined);
    await until(() => store.answer !== undefined);
    gone.cancel();
    // What is sent after the cancellation arrives after it.
    await call(client, listSources, ListSourcesRequest.create());
    store.answer?.();
    await until(() => observer.ended.includes('GetMetadata cancelled'));
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { P2pServiceService, PublishMetadataRequest } from '#src/gen/model_express/p2p.js';
import { call, connect, connectRaw, identity, measured, startServer, tensors, worker } from './support.js';

const MiB = 1024 * 1024;
const { publishMetadata, getMetadata } = P2pServiceService;

function publication(bytes: number): PublishMetadataRequest {
  const blob = worker({ backendMetadata: { $case: 'nixlMetadata', value: Buffer.alloc(bytes, 1) } });
  return { ...PublishMetadataRequest.create(), identity, worker: blob, workerId: 'w' };
}

describe('large messages', () => {
  it('of 90 MiB are taken and given, of 101 MiB refused, and the server lives on', async (test) => {
    const server = await startServer(test);
    const client = connectRaw(test, server.address);
    const { value: reply, ms } = await measured(() => call(client, publishMetadata, publication(90 * MiB)));
    test.diagnostic(`publish 90 MiB: ${ms.toFixed(0)} ms`);
    assert.equal(reply.success, true);
    const got = await call(client, getMetadata, { mxSourceId: reply.mxSourceId, workerId: 'w' });
    const blob = got.worker?.backendMetadata;
    assert.ok(blob?.$case === 'nixlMetadata' && blob.value.equals(Buffer.alloc(90 * MiB, 1)));

    await assert.rejects(call(client, publishMetadata, publication(101 * MiB)), { code: status.RESOURCE_EXHAUSTED });
    assert.equal((await call(client, publishMetadata, publication(1))).success, true);
  });

  it('above the limit fail at our client with the reason', async (test) => {
    const server = await startServer(test);
    const client = connect(test, server.address);
    const { worker: tooLarge } = publication(101 * MiB);
    assert.ok(tooLarge !== undefined);
    await assert.rejects(client.publish({ identity, worker: tooLarge, workerId: 'w' }), {
      code: 'ERR_SERVER',
      grpcStatus: status.RESOURCE_EXHAUSTED,
      message: new RegExp(`RESOURCE_EXHAUSTED at ${server.address}`),
    });
    assert.deepEqual(await client.listSources({}), []);
  });
});

describe('100 000 tensors', () => {
  it('are published, listed and fetched', async (test) => {
    const server = await startServer(test);
    const client = connect(test, server.address);
    const list = tensors(100_000);
    const sent = worker({ tensors: list, sourcePayload: { $case: 'tensorSource', value: { tensors: list } } });
    const say = (what: string, { ms, longestBlockMs }: { ms: number; longestBlockMs: number }): void => {
      test.diagnostic(
        `${what} 100 000 tensors: ${ms.toFixed(0)} ms, event loop held for at most ${longestBlockMs.toFixed(0)} ms (client and server in one process)`,
      );
    };
    const published = await measured(() => client.publish({ identity, worker: sent, workerId: 'w' }));
    say('publish', published);
    const fetched = await measured(() => client.getMetadata(published.value, 'w'));
    say('get', fetched);
    assert.deepEqual(fetched.value?.worker.tensors, list);
    assert.equal((await client.listSources({})).length, 1);
  });

  it('are fetched by four clients at once', async (test) => {
    const server = await startServer(test);
    const id = await connect(test, server.address).publish({ identity, worker: worker({ tensors: tensors(100_000) }), workerId: 'w' });
    const clients = Array.from({ length: 4 }, () => connect(test, server.address));
    const { value: many, ms, longestBlockMs } = await measured(() => Promise.all(clients.map((client) => client.getMetadata(id, 'w'))));
    test.diagnostic(`4 × get: ${ms.toFixed(0)} ms, event loop held for at most ${longestBlockMs.toFixed(0)} ms (all in one process)`);
    for (const got of many) assert.deepEqual(got?.worker.tensors, tensors(100_000));
  });
});

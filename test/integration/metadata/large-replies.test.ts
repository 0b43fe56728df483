import assert from 'node:assert/strict';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { status } from '@grpc/grpc-js';
import { GetMetadataRequest, GetMetadataResponse, P2pServiceService, PublishMetadataRequest } from '#src/gen/model_express/p2p.js';
import { call, connectRaw, identity, startServer, tensors, until, worker } from './support.js';

const { publishMetadata, getMetadata } = P2pServiceService;
const MiB = 1024 * 1024;

/** A server with one worker, whose reply to GetMetadata has `count` tensors in both lists. */
async function serverWith(test: TestContext, count: number) {
  const server = await startServer(test);
  const client = connectRaw(test, server.address);
  const request = { ...PublishMetadataRequest.create(), identity, worker: worker({ tensors: tensors(count) }), workerId: 'w' };
  const { mxSourceId } = await call(client, publishMetadata, request);
  return { server, client, request: { mxSourceId, workerId: 'w' } };
}

/** An HTTP/2 connection that takes in 64 KiB of a stream and then no more until somebody reads. */
function slowSession(test: TestContext, port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${String(port)}`);
  session.on('error', () => undefined);
  test.after(() => {
    session.destroy();
  });
  return session;
}

/** Asks for the worker; the stream is paused, and gives the reply's bytes to whoever reads it. */
function ask(session: ClientHttp2Session, request: GetMetadataRequest) {
  const message = GetMetadataRequest.encode(request).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const stream = session.request({ ':method': 'POST', ':path': getMetadata.path, 'content-type': 'application/grpc', te: 'trailers' });
  stream.on('error', () => undefined);
  stream.end(Buffer.concat([prefix, message]));
  return stream;
}

describe('a large reply', () => {
  it('is one message of the announced length, ended by its status, for each of many callers at once', async (test) => {
    const { server, client, request } = await serverWith(test, 5000);
    const session = slowSession(test, server.port);
    const expected = await call(client, getMetadata, request);
    const replies = Array.from({ length: 8 }, async () => {
      const stream = ask(session, request);
      let trailers: unknown;
      stream.on('trailers', (received: IncomingHttpHeaders) => (trailers = received['grpc-status']));
      const bytes = Buffer.concat((await stream.toArray()) as Buffer[]);
      assert.equal(bytes[0], 0);
      assert.equal(bytes.readUInt32BE(1), bytes.length - 5);
      assert.equal(trailers, '0');
      return GetMetadataResponse.decode(bytes.subarray(5));
    });
    for (const reply of await Promise.all(replies)) assert.deepEqual(reply, expected);
    assert.equal(expected.worker?.tensors.length, 5000);
  });

  it('to callers who do not read it takes no copy each', async (test) => {
    const { server, client, request } = await serverWith(test, 50_000);
    const session = slowSession(test, server.port);
    await call(client, getMetadata, request);
    const before = process.memoryUsage().arrayBuffers;
    const streams = Array.from({ length: 10 }, () => ask(session, request));
    for (const stream of streams) await new Promise((done) => stream.once('response', done));
    const taken = (process.memoryUsage().arrayBuffers - before) / MiB;
    test.diagnostic(`10 replies of 8 MiB under way: ${taken.toFixed(0)} MiB more`);
    assert.ok(taken < 40, `${taken.toFixed(0)} MiB for 10 replies of 8 MiB`);
    for (const stream of streams) stream.destroy();
    assert.equal((await call(client, getMetadata, request)).found, true);
  });

  it('may be left in the middle, by the call or with the connection', async (test) => {
    const { server, client, request } = await serverWith(test, 50_000);
    for (let round = 0; round < 5; round++) {
      const session = slowSession(test, server.port);
      const streams = [ask(session, request), ask(session, request)];
      for (const stream of streams) await new Promise((done) => stream.once('data', done));
      streams[0]?.close();
      await until(() => streams[0]?.closed === true);
      session.destroy();
    }
    assert.equal((await call(client, getMetadata, request)).worker?.tensors.length, 50_000);
  });

  it('above the limit is refused with its reason', async (test) => {
    // Twice the list is more than 100 MiB, once is less.
    const { server, client, request } = await serverWith(test, 700_000);
    await assert.rejects(call(client, getMetadata, request), { code: status.RESOURCE_EXHAUSTED, message: /larger than max/ });
    assert.equal((await call(client, getMetadata, { ...request, workerId: 'v' })).found, false);
    assert.ok(server.port > 0);
  });
});

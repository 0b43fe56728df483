import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect as connectSocket, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { WorkerServer } from '#src/metadata/worker/server.js';
import { connect, identity, startServer, worker } from './support.js';

const http2Preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
// The beginning of a TLS 1.2 ClientHello record.
const tlsHello = Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4, 0x03, 0x03]), randomBytes(193)]);

const greetings: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['random bytes', randomBytes(4096)],
  ['an HTTP/1.1 request', Buffer.from('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['a TLS hello', tlsHello],
  ['an HTTP/2 preface and then noise', Buffer.concat([Buffer.from(http2Preface), randomBytes(2048)])],
  ['a frame that claims 16 MiB', Buffer.concat([Buffer.from(http2Preface), Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])])],
];

/** Says it, and goes without a word: by FIN, or by RST. */
async function greet(port: number, bytes: Buffer, reset: boolean): Promise<void> {
  const socket: Socket = connectSocket(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise((done) => socket.once('connect', done));
  socket.write(bytes);
  await new Promise((done) => setTimeout(done, 50));
  if (reset) socket.resetAndDestroy();
  else socket.destroy();
}

describe('a gRPC port of ours lives on after', () => {
  for (const [name, bytes] of greetings) {
    it(name, async (test) => {
      const server = await startServer(test);
      const endpoint = await WorkerServer.listen({
        host: '127.0.0.1',
        worker: {
          workerId: 'w',
          workerRank: 0,
          accelerator: '',
          tensors: [],
          manifest: () => Promise.resolve({ weightFiles: [], modelFiles: [], tensors: [] }),
          openFile: () => undefined,
        },
      });
      test.after(() => endpoint.close());
      const client = connect(test, server.address);
      const other = new WorkerClient(endpoint.endpoint);
      test.after(() => {
        other.close();
      });
      const id = await client.publish({ identity, worker: worker(), workerId: 'w' });
      endpoint.setSourceId(id);
      const ports = [server.port, Number(endpoint.endpoint.split(':')[1])];
      await Promise.all(ports.flatMap((port) => [greet(port, bytes, false), greet(port, bytes, true)]));
      assert.equal((await client.getMetadata(id, 'w'))?.identity?.modelName, 'Test/Model');
      assert.equal((await other.tensorManifest(id, 'w')).workerId, 'w');
    });
  }

  it('requests that are no protobuf', async (test) => {
    const server = await startServer(test);
    const raw = new Client(server.address, credentials.createInsecure());
    test.after(() => {
      raw.close();
    });
    const send = (method: string, bytes: Buffer): Promise<Buffer> =>
      new Promise((done, failed) => {
        const same = (value: Buffer): Buffer => value;
        raw.makeUnaryRequest(`/model_express.p2p.P2pService/${method}`, same, same, bytes, new Metadata(), {}, (error, reply) => {
          if (error === null) done(reply ?? Buffer.alloc(0));
          else failed(error);
        });
      });
    const garbage = Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f, 0x01]);
    assert.match((await send('PublishMetadata', garbage)).toString(), /Failed to publish metadata: /);
    assert.equal((await send('ListSources', garbage)).length, 0);
    await assert.rejects(send('GetMetadata', garbage), { code: 13 });
    await assert.rejects(send('NoSuchCall', garbage), { code: 12 });
    assert.deepEqual(await connect(test, server.address).listSources({}), []);
  });
});

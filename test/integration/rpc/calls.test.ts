import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type handleUnaryCall, type ServerInterceptor, type ServiceError, ServerInterceptingCall, status } from '@grpc/grpc-js';
import { silentObserver } from '#src/rpc/endpoint-observer.js';
import { setSubject } from '#src/rpc/interceptors/client-key.js';
import { until } from '../metadata/support.js';
import { callHeaders, frame, hello, reset } from './frames.js';
import { ask, begin, bytesClient, bytesService, openEndpoint } from './support.js';

const MiB = 2 ** 20;

/** Says that every call is of whom its first metadata names. */
const byName: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, pass) => {
          setSubject(call, call.getHost());
          pass(metadata);
        },
      }),
  });

const named = (name: string): Record<string, string> => ({ 'grpc.default_authority': name });

/** HTTP/2 without a gRPC client, closed with the test. */
function connectRaw(test: TestContext, port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${String(port)}`);
  test.after(() => session.destroy());
  return session;
}

const headersOf = (path: string) => ({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });

describe('limits of calls', () => {
  it('the size of a message is exact, and a larger one is refused before it is read', async (test) => {
    const refused: string[] = [];
    const observer = {
      connectionOpened: () => undefined,
      connectionClosed: () => undefined,
      connectionRefused: () => undefined,
      callRefused: (method: string, limit: string) => void refused.push(`${method} ${limit}`),
    };
    const { address } = await openEndpoint(test, { observer });
    const client = bytesClient(test, address);
    assert.equal((await ask(client, 'Size', Buffer.alloc(104_857_600))).toString(), '104857600');
    const message = /larger than max \(104857601 vs 104857600\) \(limit messageBytes\)/;
    await assert.rejects(ask(client, 'Size', Buffer.alloc(104_857_601)), { code: status.RESOURCE_EXHAUSTED, message });
    assert.deepEqual(refused, ['/test.Bytes/Size size']);
    assert.equal((await ask(client, 'Size', 'x')).toString(), '1');
  });

  it('large messages arrive whole, wherever their pieces are cut', async (test) => {
    const { endpoint, address } = await openEndpoint(test);
    const client = bytesClient(test, address);
    for (const size of [MiB - 6, MiB - 5, MiB, MiB + 1, 3 * MiB + 7]) {
      const sent = randomBytes(size);
      assert.ok((await ask(client, 'Echo', sent)).equals(sent), `${size} bytes`);
    }
    const body = randomBytes(MiB + 20_000);
    const whole = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), body]);
    whole.writeUInt32BE(body.length, 1);
    const stream = connectRaw(test, endpoint.port).request(headersOf('/test.Bytes/Echo'));
    // The prefix comes letter by letter.
    for (let at = 0; at < 6; at += 1) stream.write(whole.subarray(at, at + 1));
    stream.end(whole.subarray(6));
    const heard: Buffer[] = [];
    for await (const bytes of stream) heard.push(bytes as Buffer);
    assert.ok(Buffer.concat(heard).equals(whole));
  });

  it('the rate of one client, also of calls of methods that there are not', async (test) => {
    const { endpoint } = await openEndpoint(test, { limits: { callRatePerClient: 1, callBurstPerClient: 10 } });
    const session = connectRaw(test, endpoint.port);
    const codes = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const stream = session.request(headersOf('/test.Bytes/None'));
        stream.end(Buffer.alloc(5));
        stream.resume();
        const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
        return headers['grpc-status'];
      }),
    );
    const refused = codes.filter((code) => code === `${status.RESOURCE_EXHAUSTED}`).length;
    assert.ok(refused >= 15 && refused <= 20, `${refused} of 30 were refused`);
    assert.equal(codes.filter((code) => code === `${status.UNIMPLEMENTED}`).length, 30 - refused);
  });

  it('calls that are reset as soon as they are sent: the connection is closed, and then the client shut out', async (test) => {
    const refused: string[] = [];
    const observer = { ...silentObserver, connectionRefused: (reason: string) => void refused.push(reason) };
    const { endpoint, address, lines } = await openEndpoint(test, { observer });
    const flood = async (): Promise<void> => {
      const socket = connect({ host: '127.0.0.1', port: endpoint.port, localAddress: '127.0.0.2' });
      test.after(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.resume();
      const ids = Array.from({ length: 400 }, (_, index) => 2 * index + 1);
      socket.write(Buffer.concat([hello, ...ids.flatMap((id) => [callHeaders(id, '/test.Bytes/Hang', true), reset(id)])]));
      await new Promise((done) => socket.once('close', done));
    };
    await flood();
    assert.deepEqual(refused, ['flood'], 'once it may be a client in a hurry');
    await until(async () => {
      await flood();
      return refused.includes('shut_out');
    });
    assert.ok(lines.some((line) => line.includes('is shut out') && line.includes('127.0.0.2')));
    assert.equal((await ask(bytesClient(test, address), 'Echo', 'x')).toString(), 'x');
  });

  it('the rate of one client', async (test) => {
    const limits = { callRatePerClient: 1, callBurstPerClient: 10 };
    const { address, lines } = await openEndpoint(test, { limits });
    const client = bytesClient(test, address);
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => ask(client, 'Echo', '')));
    const failures = results.filter((result) => result.status === 'rejected');
    assert.ok(failures.length >= 15 && failures.length <= 20, `${failures.length} of 30 were refused`);
    const { code, details } = failures[0]?.reason as { code: status; details: string };
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    assert.equal(details, 'more than 1 calls a second after a burst of 10 (limit callRatePerClient); try again later');
    assert.equal(lines.filter((line) => line.includes('a call is refused')).length, 1);
  });

  it('can be switched off', async (test) => {
    const { address } = await openEndpoint(test, { limits: { callRatePerClient: 0, callBurstPerClient: 1 } });
    const client = bytesClient(test, address);
    await Promise.all(Array.from({ length: 200 }, () => ask(client, 'Echo', '')));
  });

  it('calls at the same time, of each authenticated client for itself', async (test) => {
    const { address } = await openEndpoint(test, { limits: { callsPerClient: 3 }, interceptors: [byName] });
    const one = bytesClient(test, address, undefined, named('one'));
    const other = bytesClient(test, address, undefined, named('other'));
    const hanging = [1, 2, 3].map(() => begin(one, 'Hang', ''));
    const over = Promise.all(hanging.map(({ reply }) => reply.catch(() => undefined)));
    const probe = (): Promise<string> => ask(one, 'Echo', 'x').then(String, (error: unknown) => (error as ServiceError).details);
    await until(async () => (await probe()).startsWith('3 calls of this client are under way (limit callsPerClient)'));
    assert.equal((await ask(other, 'Echo', 'y')).toString(), 'y');
    for (const { call } of hanging) call.cancel();
    await over;
    await until(async () => (await probe()) === 'x');
  });

  it('requests are received a few at a time, and one that does not come in time is given up', async (test) => {
    const { endpoint, address, lines } = await openEndpoint(test, { limits: { receivingPerClient: 2, receiveTimeoutMs: 700 } });
    const socket = connect({ host: '127.0.0.1', port: endpoint.port, localAddress: '127.0.0.2' });
    test.after(() => socket.destroy());
    socket.on('error', () => undefined);
    let heard = '';
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
    await once(socket, 'connect');
    // Two requests that never end hold both places; a whole one after them has to wait.
    const half = (id: number): Buffer =>
      Buffer.concat([callHeaders(id, '/test.Bytes/Size'), frame(0, 0, id, Buffer.from([0, 0, 0, 0, 9, 1]))]);
    const whole = Buffer.concat([callHeaders(5, '/test.Bytes/Size'), frame(0, 1, 5, Buffer.from([0, 0, 0, 0, 1, 1]))]);
    socket.write(Buffer.concat([hello, half(1), half(3), whole]));
    assert.equal((await ask(bytesClient(test, address), 'Size', 'abc')).toString(), '3', 'other clients do not wait');
    assert.ok(!heard.includes('\x00\x00\x00\x00\x011'), 'the third request waits');
    await until(() => heard.includes('\x00\x00\x00\x00\x011'));
    assert.ok(lines.some((line) => line.includes('receive_timeout')));
  });

  it('replies that are not read hold back further calls of that client only', async (test) => {
    let made = 0;
    const stock = Buffer.alloc(4 * MiB);
    const make: handleUnaryCall<Buffer, Buffer> = (_call, answer) => {
      made += 1;
      answer(null, stock);
    };
    const { endpoint, address } = await openEndpoint(test, {
      services: [bytesService({ Make: make })],
      limits: { sendingBytesPerClient: 8 * MiB },
    });
    const socket = connect({ host: '127.0.0.1', port: endpoint.port, localAddress: '127.0.0.2' });
    test.after(() => socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const request = (id: number): Buffer => Buffer.concat([callHeaders(id, '/test.Bytes/Make'), frame(0, 1, id, Buffer.alloc(5))]);
    socket.write(Buffer.concat([hello, ...Array.from({ length: 20 }, (_, index) => request(2 * index + 1))]));
    await until(() => made >= 2);
    for (let i = 0; i < 20; i += 1) await ask(bytesClient(test, address), 'Echo', '');
    assert.equal(made, 2, 'two replies fill the budget; nobody works on more');
    assert.equal((await ask(bytesClient(test, address), 'Make', '')).length, 4 * MiB);
    socket.destroy();
    await until(() => endpoint.connections < 25);
  });

  it('a client that goes on though it is refused is shut out for a while', async (test) => {
    const limits = { callRatePerClient: 1, callBurstPerClient: 5, refusalsPerClient: 20, shutOutMs: 1500 };
    const { address, lines } = await openEndpoint(test, { limits });
    const client = bytesClient(test, address);
    const outcome = (): Promise<status> =>
      ask(client, 'Echo', '').then(
        () => status.OK,
        (error: unknown) => (error as ServiceError).code,
      );
    await until(async () => (await Promise.all(Array.from({ length: 40 }, outcome))).includes(status.UNAVAILABLE));
    assert.ok(lines.some((line) => line.includes('is shut out') && line.includes('127.0.0.1')));
    await until(async () => (await outcome()) === status.OK);
  });
});

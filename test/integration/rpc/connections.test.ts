import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { GrpcEndpoint } from '#src/rpc/endpoint.js';
import type { EndpointObserver } from '#src/rpc/endpoint-observer.js';
import { memoryLogger, until } from '../metadata/support.js';
import { hello, preface } from './frames.js';
import { ask, begin, bytesClient, bytesService, openEndpoint } from './support.js';

interface Peer {
  readonly socket: Socket;
  /** Resolves with all that was heard when the connection is closed. */
  readonly heard: Promise<string>;
}

function dial(test: TestContext, port: number, from = '127.0.0.1'): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  test.after(() => socket.destroy());
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  socket.on('error', () => undefined);
  const heard = new Promise<string>((done) => socket.once('close', () => done(text)));
  return once(socket, 'connect').then(() => ({ socket, heard }));
}

function counting(): EndpointObserver & { readonly seen: Record<string, number> } {
  const seen: Record<string, number> = {};
  const count = (key: string): void => void (seen[key] = (seen[key] ?? 0) + 1);
  return {
    seen,
    connectionOpened: () => count('opened'),
    connectionClosed: () => count('closed'),
    connectionRefused: count,
    callRefused: (method, limit) => count(`${method} ${limit}`),
  };
}

describe('an endpoint', () => {
  it('listens on IPv6 and on names', async (test) => {
    for (const host of ['::1', 'localhost']) {
      const { endpoint } = await openEndpoint(test, { address: { host, port: 0 } });
      const target = host === '::1' ? `[::1]:${String(endpoint.port)}` : `localhost:${String(endpoint.port)}`;
      assert.equal((await ask(bytesClient(test, target), 'Echo', host)).toString(), host);
    }
  });

  it('says why it cannot listen', async (test) => {
    const { endpoint } = await openEndpoint(test);
    const taken = { host: '127.0.0.1', port: endpoint.port };
    await assert.rejects(openEndpoint(test, { address: taken }), {
      code: 'ERR_IO',
      syscall: 'listen',
      message: /cannot listen on 127\.0\.0\.1:\d+: the port is in use; .* \(listen EADDRINUSE\)/,
    });
    await assert.rejects(openEndpoint(test, { address: { host: '192.0.2.1', port: 0 } }), {
      code: 'ERR_IO',
      message: /no interface of this machine/,
    });
    await assert.rejects(openEndpoint(test, { address: { host: 'no.such.host.invalid', port: 0 } }), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('refuses limits that are none', async (test) => {
    for (const limits of [{ connections: 0 }, { messageBytes: 1.5 }, { callRatePerClient: -1 }, { handshakeTimeoutMs: NaN }]) {
      await assert.rejects(openEndpoint(test, { limits }), { code: 'ERR_INVALID_ARGUMENT', message: /for the limit \w+ but received/ });
    }
  });
});

describe('connections', () => {
  it('above the limit of one client are told so and closed; other clients are not concerned', async (test) => {
    const observer = counting();
    const { endpoint, address, lines } = await openEndpoint(test, { limits: { connectionsPerClient: 3 }, observer });
    const held = await Promise.all([1, 2, 3].map(() => dial(test, endpoint.port, '127.0.0.2')));
    await until(() => endpoint.connections === 3);
    for (let i = 0; i < 20; i += 1) {
      const heard = await (await dial(test, endpoint.port, '127.0.0.2')).heard;
      assert.match(heard, /limit connectionsPerClient of 3 is reached/);
    }
    assert.equal(observer.seen['per_client'], 20);
    assert.equal(lines.filter((line) => line.includes('connectionsPerClient')).length, 1, 'the log is not flooded');
    await ask(bytesClient(test, address), 'Echo', '');
    held[0]?.socket.destroy();
    await until(() => endpoint.connections === 3);
    const again = await dial(test, endpoint.port, '127.0.0.2');
    await until(() => endpoint.connections === 4);
    assert.equal(again.socket.closed, false);
  });

  it('above the limit of all are refused', async (test) => {
    const { endpoint } = await openEndpoint(test, { limits: { connections: 2 } });
    await Promise.all([dial(test, endpoint.port, '127.0.0.2'), dial(test, endpoint.port, '127.0.0.3')]);
    await until(() => endpoint.connections === 2);
    assert.match(await (await dial(test, endpoint.port, '127.0.0.4')).heard, /limit connections of 2 is reached/);
  });

  it('that come too fast are refused', async (test) => {
    const { endpoint } = await openEndpoint(test, { limits: { connectionsPerClient: 5, connectionRatePerClient: 1 } });
    const outcomes: string[] = [];
    for (let i = 0; i < 8; i += 1) {
      const { socket, heard } = await dial(test, endpoint.port, '127.0.0.2');
      // Lets the server see one close before the next one comes.
      socket.end();
      outcomes.push(await heard);
      await until(() => endpoint.connections === 0);
    }
    assert.equal(outcomes.slice(0, 5).join(''), '');
    assert.match(outcomes.at(-1) ?? '', /limit connectionRatePerClient of 1 is reached/);
  });

  it('that do not say hello in time are closed, also letter by letter', async (test) => {
    const observer = counting();
    const { endpoint } = await openEndpoint(test, { limits: { handshakeTimeoutMs: 300 }, observer });
    const silent = await dial(test, endpoint.port);
    const slow = await dial(test, endpoint.port);
    const letters = setInterval(() => slow.socket.write('P'), 50);
    test.after(() => clearInterval(letters));
    slow.socket.write(preface.subarray(0, 5));
    const partial = await dial(test, endpoint.port);
    partial.socket.write(preface);
    await Promise.all([silent.heard, slow.heard, partial.heard]);
    assert.equal(observer.seen['opened'], 3);
    await until(() => observer.seen['closed'] === 3 && endpoint.connections === 0);
    assert.ok((observer.seen['handshake_timeout'] ?? 0) >= 2);
  });

  it('without calls are closed after a while, and a client does not notice', async (test) => {
    const { endpoint, address } = await openEndpoint(test, { limits: { idleTimeoutMs: 200 } });
    const client = bytesClient(test, address);
    await ask(client, 'Echo', '1');
    await until(() => endpoint.connections === 0);
    await ask(client, 'Echo', '2');
  });

  it('that flood without calling are closed', async (test) => {
    const observer = counting();
    const { endpoint } = await openEndpoint(test, { observer });
    const { socket, heard } = await dial(test, endpoint.port);
    socket.write(hello);
    const ping = Buffer.concat([Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0]), Buffer.alloc(8)]);
    const pings = setInterval(() => socket.write(Buffer.concat(Array.from({ length: 200 }, () => ping))), 20);
    test.after(() => clearInterval(pings));
    await heard;
    assert.equal(observer.seen['flood'], 1);
  });

  it('beyond the open files of the process do not end it', async (test) => {
    const server = fileURLToPath(new URL('./server-process.js', import.meta.url));
    // Of 160 files the endpoint keeps 128 back and would let 32 connections in, but there are only 10 left.
    const child = spawn('bash', ['-c', 'ulimit -n 160 && exec "$0" "$@"', process.execPath, server, '{}', '10'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    test.after(() => child.kill('SIGKILL'));
    const [port] = (await once(child, 'message')) as [number];
    const peers = await Promise.all(Array.from({ length: 100 }, () => dial(test, port, '127.0.0.2')));
    await until(() => peers.filter(({ socket }) => socket.closed).length >= 100 - 10);
    for (const { socket } of peers) socket.destroy();
    const client = bytesClient(test, `127.0.0.1:${String(port)}`);
    await until(() =>
      ask(client, 'Echo', 'alive', 2000).then(
        () => true,
        () => false,
      ),
    );
    assert.equal(child.exitCode, null);
  });
});

describe('closing', () => {
  it('lets running calls finish, takes no new ones, and ends at the latest after the grace', async (test) => {
    const logger = memoryLogger();
    let answer: (() => void) | undefined;
    const started = new Promise<void>((begun) => {
      const slow = bytesService({
        Hang: (_call: unknown, reply: (error: null, bytes: Buffer) => void) => {
          answer = () => reply(null, Buffer.from('done'));
          begun();
        },
      });
      void GrpcEndpoint.open({ address: { host: '127.0.0.1', port: 0 }, services: [slow], logger }).then((made) => opened(made));
    });
    let opened: (endpoint: GrpcEndpoint) => void = () => undefined;
    const endpoint = await new Promise<GrpcEndpoint>((done) => (opened = done));
    const address = `127.0.0.1:${String(endpoint.port)}`;
    const client = bytesClient(test, address);
    const running = begin(client, 'Hang', '').reply;
    await started;
    const silent = await dial(test, endpoint.port);
    const order: string[] = [];
    const draining = endpoint.drain().then(() => order.push('drained'));
    await silent.heard;
    const late = bytesClient(test, address);
    await assert.rejects(ask(late, 'Echo', ''), { code: status.UNAVAILABLE });
    order.push('answered');
    answer?.();
    assert.equal((await running).toString(), 'done');
    await draining;
    assert.deepEqual(order, ['answered', 'drained']);
    await endpoint.close(1000);
    await endpoint.close(0);
    assert.equal(endpoint.connections, 0);
  });

  it('ends calls that hang', async (test) => {
    const { endpoint, address } = await openEndpoint(test);
    const hanging = begin(bytesClient(test, address), 'Hang', '').reply;
    const failed = assert.rejects(hanging, ({ code }: { code: status }) => [status.CANCELLED, status.UNAVAILABLE].includes(code));
    await until(() => endpoint.connections === 1);
    await Promise.all([endpoint.close(100), endpoint.close(100)]);
    await failed;
    assert.equal(endpoint.connections, 0);
  });

  it('does not wait for peers that do not answer', async (test) => {
    const { endpoint } = await openEndpoint(test);
    const { socket } = await dial(test, endpoint.port);
    socket.pause();
    socket.write(hello);
    await until(() => endpoint.connections === 1);
    await endpoint.close(50);
    assert.equal(endpoint.connections, 0);
  });
});

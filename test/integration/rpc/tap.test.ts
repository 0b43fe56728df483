/** Stopping and resuming what comes in below HTTP/2, of sockets as Node has them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Tap, tapOf } from '#src/rpc/acceptor/tap.js';
import { eventually } from '../../support/eventually.js';

interface Ends {
  readonly client: Socket;
  readonly server: Socket;
  readonly tap: Tap;
}

async function pair(test: TestContext): Promise<Ends> {
  const listener = createServer();
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
  const accepted = once(listener, 'connection');
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [server] = (await accepted) as [Socket];
  test.after(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  const tap = tapOf(server);
  assert.ok(tap !== undefined, 'this version of Node keeps the handle of a socket elsewhere');
  return { client, server, tap };
}

it('a closed tap leaves what comes in the kernel, an open one brings it', async (test) => {
  const { client, server, tap } = await pair(test);
  const heard: string[] = [];
  server.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  client.write('one');
  await eventually('first words', () => heard[0]);
  tap.close();
  await new Promise((done) => client.write('two', done));
  // On loopback it has arrived by now; the event loop looks at its sockets in between.
  await pause(50);
  assert.deepEqual(heard, ['one']);
  assert.equal(tap.open(), true);
  await eventually('second words', () => heard[1]);
  assert.deepEqual(heard, ['one', 'two']);
});

it('a tap is not opened while bytes wait to be written', async (test) => {
  const { client, server, tap } = await pair(test);
  client.pause();
  server.write(Buffer.alloc(64 * 2 ** 20));
  tap.close();
  assert.equal(tap.open(), false);
  client.resume();
  await eventually('reader', () => tap.open() || undefined);
});

it('a tap of a closed socket does nothing', async (test) => {
  const { server, tap } = await pair(test);
  server.destroy();
  tap.close();
  assert.equal(tap.open(), true);
  assert.equal(tapOf(server), undefined);
});

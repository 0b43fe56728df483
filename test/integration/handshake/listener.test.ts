import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exchangeConnection, fetchDescriptor, probe, sendNotify } from '#src/handshake/client.js';
import { rdmaDescriptor, type SegmentDescriptor, tcpDescriptor } from '#src/handshake/descriptor.js';
import { encodeFrame, MessageType, peerReadLimit } from '#src/handshake/frame.js';
import { type HandshakeHandlers, HandshakeListener, type ListenOptions } from '#src/handshake/listener.js';
import type { ConnectionMessage, NotifyMessage } from '#src/handshake/messages.js';
import { bodyOf, talk } from '../../support/raw-peer.js';
import { gidOf } from '../../support/nic-double.js';

const own = tcpDescriptor({ name: '127.0.0.1:1' });
const request: ConnectionMessage = {
  localNicPath: '10.0.0.9:15555@mlx5_0',
  peerNicPath: '10.0.0.5:15428@mlx5_1',
  queuePairs: [291, 292],
  replyMessage: '',
  localGid: gidOf(9),
  localLid: 0,
};

function answering(handlers: Partial<HandshakeHandlers> = {}): HandshakeHandlers {
  return {
    metadata: () => rdmaDescriptor({ name: '10.0.0.5:15428', devices: [{ name: 'mlx5_1', gid: gidOf(5), lid: 0 }] }),
    connection: async (message) => ({
      ...message,
      localNicPath: message.peerNicPath,
      peerNicPath: message.localNicPath,
      queuePairs: [803, 804],
    }),
    ...handlers,
  };
}

async function listen(
  handlers: Partial<HandshakeHandlers> = {},
  options: Partial<ListenOptions> = {},
): Promise<{ port: number; address: string }> {
  const listener = await HandshakeListener.listen({ host: '127.0.0.1', handlers: answering(handlers), ...options });
  after(() => listener.close());
  return { port: listener.port, address: `127.0.0.1:${listener.port}` };
}

describe('a handshake listener', () => {
  it('takes a random port from 15000 to 17000', async () => {
    const ports = new Set<number>();
    for (let index = 0; index < 5; index++) ports.add((await listen()).port);
    assert.equal(ports.size, 5);
    for (const port of ports) assert.ok(port >= 15000 && port <= 17000, String(port));
  });

  it('takes the port that it is told, and says when that is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    after(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    await assert.rejects(HandshakeListener.listen({ host: '127.0.0.1', port, handlers: answering() }), {
      code: 'ERR_IO',
      message: new RegExp(`127\\.0\\.0\\.1:${port}.*EADDRINUSE`),
    });
  });

  it('answers all four messages', async () => {
    const notified: NotifyMessage[] = [];
    const { address } = await listen({ notify: (message) => notified.push(message) });
    assert.equal((await fetchDescriptor(address, own)).name, '10.0.0.5:15428');
    const reply = await exchangeConnection(address, request);
    assert.deepEqual(
      [reply.localNicPath, reply.peerNicPath, reply.queuePairs, reply.replyMessage],
      [request.peerNicPath, request.localNicPath, [803, 804], ''],
    );
    await sendNotify(address, { name: 'a', message: 'b' });
    assert.deepEqual(notified, [{ name: 'a', message: 'b' }]);
    await probe(address);
  });

  it('answers Probe, Notify and a missing segment with the bytes of Mooncake', async () => {
    const { port } = await listen({ metadata: () => undefined });
    const hello = await talk(port, [Buffer.from('0400000000000000037b7d0a', 'hex')]);
    assert.deepEqual(hello, encodeFrame(MessageType.probe, '{"status":"success"}'));
    const notify = await talk(port, [encodeFrame(MessageType.notify, '{"name":"a","notify_msg":"b"}')]);
    assert.deepEqual(notify, encodeFrame(MessageType.notify, '{"name":"","notify_msg":"success"}'));
    const metadata = await talk(port, [encodeFrame(MessageType.metadata, '{}')]);
    assert.equal(metadata.toString('hex'), '0600000000000000016e756c6c0a');
  });

  it('answers an old frame without type byte in kind', async () => {
    const { port } = await listen();
    const reply = await talk(port, [
      encodeFrame(MessageType.oldProtocol, '{"local_nic_path":"a:1@d","peer_nic_path":"b:1@e","qp_num":[1,2]}'),
    ]);
    assert.equal(reply.readUInt8(8), '{'.charCodeAt(0));
    assert.deepEqual(bodyOf(reply)['qp_num'], [803, 804]);
  });

  it('ignores whitespace, key order and unknown keys', async () => {
    const { port } = await listen();
    const body = '\r\n { "qp_num" : [ 1 ,2 ],\n"future": {"a":[1.5e3]},"peer_nic_path":"b:1@e" , "local_nic_path":"a:1@d"}\n\n';
    assert.equal(bodyOf(await talk(port, [encodeFrame(MessageType.connection, body)]))['peer_nic_path'], 'a:1@d');
  });

  it('assembles a request that arrives byte by byte', async () => {
    const { port } = await listen();
    const frame = encodeFrame(MessageType.probe, '{}');
    const reply = await talk(
      port,
      [...frame].map((byte) => Uint8Array.of(byte)),
      { pauseMs: 1 },
    );
    assert.deepEqual(bodyOf(reply), { status: 'success' });
  });

  it('answers a client that has closed its sending side', async () => {
    const { port } = await listen({ connection: (message) => sleep(20).then(() => message) });
    const reply = await talk(port, [encodeFrame(MessageType.connection, '{"qp_num":[7]}')], { halfClose: true });
    assert.deepEqual(bodyOf(reply)['qp_num'], [7]);
  });

  it('turns what goes wrong with a Connection into a full rejection', async () => {
    const { port, address } = await listen({ connection: () => Promise.reject(new Error('no such device')) });
    const reply = await exchangeConnection(address, request);
    assert.match(reply.replyMessage, /no such device/);
    assert.deepEqual([reply.localNicPath, reply.peerNicPath, reply.queuePairs], [request.peerNicPath, request.localNicPath, []]);
    const hostile = bodyOf(await talk(port, [encodeFrame(MessageType.connection, '{"qp_num":["1"]}')]));
    assert.match(hostile['reply_msg'] as string, /qp_num/);
    assert.match(bodyOf(await talk(port, [encodeFrame(MessageType.connection, '[]')]))['reply_msg'] as string, /an object/);
  });

  it('shows the asker’s descriptor to its owner, up to 16 MiB of it', async () => {
    const seen: unknown[] = [];
    const descriptor = rdmaDescriptor({ name: 'x:1', devices: [] });
    const { port } = await listen({ metadata: (body) => (seen.push(body), descriptor) });
    const large = encodeFrame(MessageType.metadata, `{"name":"${'y'.repeat(16 * peerReadLimit - 13)}"}`);
    assert.equal(large.readBigUInt64LE(), 16n * BigInt(peerReadLimit));
    assert.equal(bodyOf(await talk(port, [large]))['name'], 'x:1');
    assert.equal((seen[0] as { name: string }).name.length, 16 * peerReadLimit - 13);
    const tooLarge = encodeFrame(MessageType.metadata, `{"name":"${'y'.repeat(16 * peerReadLimit - 12)}"}`);
    assert.equal((await talk(port, [tooLarge])).length, 0);
    assert.equal((await talk(port, [encodeFrame(MessageType.connection, `"${'y'.repeat(peerReadLimit)}"`)])).length, 0);
    assert.equal(seen.length, 1);
  });

  it('serves a descriptor of any size, to many at once', async () => {
    const buffers = Array.from({ length: 20_000 }, (_, index) => ({ address: 4096n * BigInt(index + 1), length: 4096n }));
    const descriptor: SegmentDescriptor = tcpDescriptor({ name: 'x:1', tcpDataPort: 9, buffers });
    const { address } = await listen({ metadata: () => descriptor });
    const fetched = await Promise.all(Array.from({ length: 8 }, () => fetchDescriptor(address, own)));
    for (const each of fetched) assert.equal(each.buffers.length, 20_000);
  });
});

describe('a handshake listener under strangers', () => {
  const garbage: [string, Buffer][] = [
    ['HTTP', Buffer.from('GET /metrics HTTP/1.1\r\nHost: seed\r\n\r\n')],
    ['TLS', Buffer.from('16030102000100 01fc0303'.replaceAll(' ', ''), 'hex')],
    ['a length of 0', Buffer.alloc(9)],
    ['a length of 2^63', Buffer.from('000000000000008000', 'hex')],
    ['an unknown type', encodeFrame(0x80, '{}')],
    ['a type beyond Probe', encodeFrame(0x04, '{}')],
    ['malformed JSON', encodeFrame(MessageType.connection, '{"qp_num":')],
    ['text that is not UTF-8', Buffer.from('030000000000000000ff0a', 'hex')],
    ['endless nesting', encodeFrame(MessageType.metadata, '['.repeat(500_000))],
    ['a wrong Notify', encodeFrame(MessageType.notify, '{"name":[]}')],
  ];
  for (const [what, bytes] of garbage) {
    it(`drops ${what} without a reply`, async () => {
      const { port, address } = await listen();
      assert.equal((await talk(port, [bytes])).length, 0);
      await probe(address);
    });
  }

  it('drops random bytes', async () => {
    const { port, address } = await listen({}, { idleTimeoutMs: 150 });
    let state = 1;
    const random = (): number => (state = (state * 48271) % 0x7fffffff);
    const attempts = Array.from({ length: 40 }, () =>
      talk(port, [Uint8Array.from({ length: 1 + (random() % 400) }, () => random() & 0xff)]),
    );
    for (const reply of await Promise.all(attempts)) assert.equal(reply.length, 0);
    await probe(address);
  });

  it('drops silent and stuck clients after the idle limit, and answers others meanwhile', async () => {
    const { port, address } = await listen({}, { idleTimeoutMs: 800 });
    const order: string[] = [];
    const stuck = [[], [encodeFrame(MessageType.probe, '{}').subarray(0, 5)]].map(async (chunks) => {
      assert.equal((await talk(port, chunks)).length, 0);
      order.push('dropped');
    });
    await probe(address);
    order.push('answered');
    await Promise.all(stuck);
    assert.deepEqual(order, ['answered', 'dropped', 'dropped']);
  });

  it('drops a client that keeps its connection after the reply, or goes on sending', async () => {
    const { port } = await listen({}, { idleTimeoutMs: 150 });
    for (const flood of [false, true]) {
      const start = performance.now();
      await new Promise<void>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
        socket.on('error', () => undefined);
        socket.resume();
        socket.write(encodeFrame(MessageType.probe, '{}'));
        const sending = flood ? setInterval(() => socket.write(Buffer.alloc(1000)), 10) : undefined;
        // A write after the other side is gone is what makes a half-open client notice.
        const noticing = setInterval(() => socket.write('x'), 50);
        socket.on('close', () => {
          clearInterval(sending);
          clearInterval(noticing);
          resolve();
        });
      });
      assert.ok(performance.now() - start < 10_000);
    }
  });

  it('does not cut off a handler that takes longer than the idle limit', async () => {
    const { address } = await listen({ connection: (message) => sleep(300).then(() => message) }, { idleTimeoutMs: 60 });
    assert.deepEqual((await exchangeConnection(address, request)).queuePairs, request.queuePairs);
  });

  it('survives clients that reset in the middle', async () => {
    const { port, address } = await listen({ connection: (message) => sleep(30).then(() => message) });
    for (const bytes of [Buffer.alloc(3), encodeFrame(MessageType.connection, '{}')]) {
      await new Promise<void>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port }, () => {
          socket.write(bytes, () => {
            socket.resetAndDestroy();
            resolve();
          });
        });
      });
    }
    await sleep(60);
    await probe(address);
  });

  it('answers several hundred short connections at once', async () => {
    const { address } = await listen();
    await Promise.all(Array.from({ length: 300 }, () => probe(address)));
  });

  it('drops open connections on close', async () => {
    const listener = await HandshakeListener.listen({ host: '127.0.0.1', handlers: answering() });
    const open = talk(listener.port, []);
    await probe(`127.0.0.1:${listener.port}`);
    await listener.close();
    assert.equal((await open).length, 0);
    await listener.close();
    await assert.rejects(probe(`127.0.0.1:${listener.port}`), { code: 'ERR_PEER_LOST' });
  });
});

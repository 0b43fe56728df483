import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exchangeConnection, fetchDescriptor, probe, sendNotify } from '#src/handshake/client.js';
import { encodeDescriptor, tcpDescriptor } from '#src/handshake/descriptor.js';
import { encodeFrame, MessageType } from '#src/handshake/frame.js';
import { parseJson, type JsonValue } from '#src/handshake/json.js';
import type { ConnectionMessage } from '#src/handshake/messages.js';
import { eventually, scriptedPeer, silence } from '../../support/raw-peer.js';

const own = tcpDescriptor({ name: '127.0.0.1:15999' });
const request: ConnectionMessage = {
  localNicPath: 'a:1@d',
  peerNicPath: 'b:2@e',
  queuePairs: [1],
  replyMessage: '',
  localGid: '',
  localLid: 0,
};

async function refusedAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

describe('asking a peer', () => {
  it('sends our descriptor and reads the peer’s', async () => {
    const peer = await scriptedPeer((body) => ({ ...body, tcp_data_port: 7 }));
    assert.equal((await fetchDescriptor(peer.address, own)).tcpDataPort, 7);
    assert.deepEqual(peer.requests, [{ type: MessageType.metadata, body: parseJson(encodeDescriptor(own).json) }]);
  });

  it('closes the connection right after the reply', async () => {
    const peer = await scriptedPeer((_body, type, socket) => {
      // Mooncake's listener thread blocks until the client closes: it sends, and keeps its side open here.
      socket.write(encodeFrame(type, '{"status":"success"}'));
      return new Promise<never>(() => undefined);
    });
    await probe(peer.address);
    await eventually('the client closes', () => peer.closedByClient === 1);
  });

  it('fails at once with ERR_PEER_LOST where nobody listens', async () => {
    const address = await refusedAddress();
    const start = performance.now();
    await assert.rejects(fetchDescriptor(address, own), {
      code: 'ERR_PEER_LOST',
      peer: address,
      syscall: 'connect',
      message: new RegExp(`${address}.*ECONNREFUSED`),
    });
    assert.ok(performance.now() - start < 2000);
    await assert.rejects(probe(address.replace('127.0.0.1', 'localhost')), { code: 'ERR_PEER_LOST', message: /ECONNREFUSED/ });
    await assert.rejects(probe('no-such-host.invalid:1'), { code: 'ERR_PEER_LOST', message: /no-such-host\.invalid/ });
  });

  it('does not wait for ever: silent peer, trickling peer', { timeout: 20_000 }, async () => {
    const silent = await scriptedPeer(silence);
    const start = performance.now();
    await assert.rejects(exchangeConnection(silent.address, request, { timeoutMs: 80 }), {
      code: 'ERR_STALLED',
      peer: silent.address,
      message: /80 ms/,
    });
    assert.ok(performance.now() - start < 5000);
    const trickling = await scriptedPeer((_body, type, socket) => {
      const timer = setInterval(() => socket.write('['), 10);
      socket.write(encodeFrame(type, `${' '.repeat(10_000)}{}`).subarray(0, 20));
      socket.on('close', () => {
        clearInterval(timer);
      });
      return new Promise<never>(() => undefined);
    });
    await assert.rejects(exchangeConnection(trickling.address, request, { timeoutMs: 60 }), {
      code: 'ERR_STALLED',
      peer: trickling.address,
    });
  });

  it('waits as long as bytes arrive', async () => {
    const peer = await scriptedPeer(async (_body, type, socket) => {
      const reply = encodeFrame(type, '{"name":"x","protocol":"tcp"}');
      for (const byte of reply) {
        socket.write(Uint8Array.of(byte));
        await sleep(20);
      }
      return new Promise<never>(() => undefined);
    });
    assert.equal((await fetchDescriptor(peer.address, own, { timeoutMs: 600 })).name, 'x');
  });

  it('stops on abort, before and during, and leaves no listener behind', async () => {
    const controller = new AbortController();
    const peer = await scriptedPeer((...request) => {
      controller.abort();
      return silence(...request);
    });
    await assert.rejects(probe(peer.address, { signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' });
    await assert.rejects(probe(peer.address, { signal: controller.signal }), { code: 'ERR_ABORTED', peer: peer.address });
    assert.equal(peer.requests.length, 1);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    await eventually('the client closes', () => peer.closedByClient === 1);
  });

  it('takes a closed connection for a lost peer', async () => {
    const closing = await scriptedPeer(() => undefined);
    await assert.rejects(probe(closing.address), { code: 'ERR_PEER_LOST', message: /without a complete reply/ });
    const resetting = await scriptedPeer((_body, _type, socket) => {
      socket.resetAndDestroy();
      return undefined;
    });
    await assert.rejects(probe(resetting.address), { code: 'ERR_PEER_LOST', peer: resetting.address });
  });

  const wrong: [string, (type: number) => Buffer, string, RegExp][] = [
    ['of another type', () => encodeFrame(MessageType.notify, '{}'), 'ERR_PROTOCOL', /type 0 but received type 2/],
    ['that is no JSON', (type) => encodeFrame(type, '{'), 'ERR_PROTOCOL', /malformed JSON/],
    ['beyond the limit', () => Buffer.from('010010000000000000', 'hex'), 'ERR_PROTOCOL', /1048577/],
    ['from an HTTP server', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'ERR_PROTOCOL', /not a handshake peer/],
    ['that is a list', (type) => encodeFrame(type, '[]'), 'ERR_PROTOCOL', /expected an object/],
    ['with a wrong type inside', (type) => encodeFrame(type, '{"qp_num":"1"}'), 'ERR_PROTOCOL', /qp_num/],
  ];
  for (const [what, reply, code, message] of wrong) {
    it(`refuses a reply ${what}`, async () => {
      const peer = await scriptedPeer((_body, type, socket) => {
        socket.end(reply(type));
        return new Promise<never>(() => undefined);
      });
      await assert.rejects(exchangeConnection(peer.address, request), { code, peer: peer.address, message });
    });
  }

  it('reads a reply of null as one of empty fields, as Mooncake does', async () => {
    const peer = await scriptedPeer(() => null as JsonValue);
    const { localNicPath, queuePairs, replyMessage } = await exchangeConnection(peer.address, request);
    assert.deepEqual([localNicPath, queuePairs, replyMessage], ['', [], '']);
  });

  it('says that a peer is not ready yet', async () => {
    const peer = await scriptedPeer(() => null as JsonValue);
    await assert.rejects(fetchDescriptor(peer.address, own), { code: 'ERR_HANDSHAKE', peer: peer.address, message: /still starting/ });
  });

  it('reads a descriptor far beyond 1 MiB', async () => {
    const count = 120_000;
    const buffers = Array.from({ length: count }, (_, index) => ({ address: 2n ** 60n + BigInt(index) * 2n ** 30n, length: 2n ** 30n }));
    const { json, frameBytes } = encodeDescriptor(tcpDescriptor({ name: 'x'.repeat(300), tcpDataPort: 1, buffers }));
    assert.ok(frameBytes > 40 * 1024 * 1024, String(frameBytes));
    const peer = await scriptedPeer((_body, type, socket) => {
      socket.end(encodeFrame(type, json));
      return new Promise<never>(() => undefined);
    });
    const descriptor = await fetchDescriptor(peer.address, own);
    assert.equal(descriptor.buffers.length, count);
    assert.equal(descriptor.buffers[count - 1]?.address, 2n ** 60n + BigInt(count - 1) * 2n ** 30n);
  });

  it('names the field of a hostile descriptor', async () => {
    const peer = await scriptedPeer(() => ({ protocol: 'tcp', buffers: [{ name: 'a', addr: '1', length: 1 }] }));
    await assert.rejects(fetchDescriptor(peer.address, own), { code: 'ERR_PROTOCOL', peer: peer.address, message: /buffers\[0\]\.addr/ });
  });

  it('knows when a notification was not taken', async () => {
    const taken = await scriptedPeer(() => ({ name: '', notify_msg: 'success' }));
    await sendNotify(taken.address, { name: 'a', message: 'b' });
    const refused = await scriptedPeer(() => ({ name: '', notify_msg: '' }));
    await assert.rejects(sendNotify(refused.address, { name: 'a', message: 'b' }), { code: 'ERR_HANDSHAKE', peer: refused.address });
  });
});

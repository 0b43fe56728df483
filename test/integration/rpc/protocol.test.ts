import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { frame, hello, preface, settings } from './frames.js';
import { ask, bytesClient, openEndpoint, serverFiles, tlsCredentials } from './support.js';

/** Says it and hears the other side out. */
function say(test: TestContext, port: number, ...words: Buffer[]): Promise<Buffer> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    test.after(() => socket.destroy());
    const heard: Buffer[] = [];
    const end = (): void => done(Buffer.concat(heard));
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes);
      if (goawayOf(Buffer.concat(heard)) !== undefined) end();
    });
    socket.on('error', () => undefined);
    socket.on('close', end);
    for (const word of words) socket.write(word);
  });
}

/** Error code and debug data of the first GOAWAY among whole frames. */
function goawayOf(bytes: Buffer): { code: number; text: string } | undefined {
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    if (bytes[at + 3] === 7 && at + 9 + length <= bytes.length) {
      return { code: bytes.readUInt32BE(at + 13), text: bytes.toString('utf8', at + 17, at + 9 + length) };
    }
    at += 9 + length;
  }
  return undefined;
}

const http1 = Buffer.from('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
const tlsHello = Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4, 0x03, 0x03]), randomBytes(194)]);
const noise = Buffer.concat([Buffer.from([0xfe]), randomBytes(100)]);

describe('a port without TLS', () => {
  const cases: [string, Buffer[], (heard: Buffer) => void][] = [
    ['HTTP/1.1', [http1], (heard) => assert.match(heard.toString(), /^HTTP\/1\.1 400 .*this port speaks gRPC \(HTTP\/2\), not HTTP\/1/s)],
    ['TLS', [tlsHello], (heard) => assert.deepEqual([...heard], [0x15, 3, 1, 0, 2, 2, 70])],
    ['noise', [noise], (heard) => assert.deepEqual(goawayOf(heard), { code: 1, text: 'this port speaks gRPC (HTTP/2)' })],
    ['a preface without SETTINGS', [preface, frame(6, 0, 0, Buffer.alloc(8))], (heard) => assert.equal(goawayOf(heard)?.code, 1)],
    ['SETTINGS of half an entry', [preface, settings(Buffer.alloc(5))], (heard) => assert.equal(goawayOf(heard)?.code, 1)],
    ['SETTINGS out of range', [preface, settings(Buffer.from([0, 5, 0, 0, 0, 1]))], (heard) => assert.ok(goawayOf(heard) !== undefined)],
    ['a frame of 16 MiB', [hello, frame(0, 0, 1, Buffer.alloc(0), 0xffffff)], (heard) => assert.equal(goawayOf(heard)?.code, 6)],
    ['DATA of no stream', [hello, frame(0, 0, 0, Buffer.alloc(1))], (heard) => assert.equal(goawayOf(heard)?.code, 1)],
    ['headers that are no HPACK', [hello, frame(1, 5, 1, Buffer.alloc(40, 0xff))], (heard) => assert.equal(goawayOf(heard)?.code, 9)],
  ];
  for (const [name, words, expected] of cases) {
    it(`says no to ${name}, and goes on`, async (test) => {
      const { endpoint, address } = await openEndpoint(test);
      expected(await say(test, endpoint.port, ...words));
      assert.equal((await ask(bytesClient(test, address), 'Echo', 'x')).toString(), 'x');
    });
  }

  it('takes a hello that comes in pieces', async (test) => {
    const { endpoint } = await openEndpoint(test);
    const socket = connect(endpoint.port, '127.0.0.1').setNoDelay();
    test.after(() => socket.destroy());
    const answer = new Promise<Buffer>((done) => socket.once('data', done));
    for (const byte of hello) {
      socket.write(Buffer.from([byte]));
      await new Promise((done) => setImmediate(done));
    }
    assert.equal((await answer)[3], 4, 'the first frame is SETTINGS');
  });

  it('is understood by a gRPC client that expects TLS', async (test) => {
    const { authority } = await serverFiles(test);
    const { address } = await openEndpoint(test);
    await assert.rejects(ask(bytesClient(test, address, tlsCredentials(authority.cert)), 'Echo', ''), { code: status.UNAVAILABLE });
  });
});

describe('a port with TLS', () => {
  it('says no to what is not TLS, and goes on', async (test) => {
    const { authority, files } = await serverFiles(test);
    const { endpoint, address, lines } = await openEndpoint(test, { tls: files });
    assert.match((await say(test, endpoint.port, http1)).toString(), /400 .*this port speaks gRPC over TLS, not HTTP\/1/s);
    assert.deepEqual(goawayOf(await say(test, endpoint.port, hello)), { code: 12, text: 'this port speaks gRPC over TLS, not clear text' });
    assert.equal((await say(test, endpoint.port, noise)).length, 0);
    // An alert, "decode error" or the like, from OpenSSL itself.
    assert.equal((await say(test, endpoint.port, tlsHello))[0], 0x15);
    assert.ok(lines.some((line) => line.includes('a TLS handshake failed')));
    await assert.rejects(ask(bytesClient(test, address), 'Echo', ''), { code: status.PERMISSION_DENIED });
    await ask(bytesClient(test, address, tlsCredentials(authority.cert)), 'Echo', '');
  });

  it('says no to what is not gRPC inside of TLS', async (test) => {
    const { authority, files } = await serverFiles(test);
    const { endpoint } = await openEndpoint(test, { tls: files });
    const options = { host: '127.0.0.1', port: endpoint.port, ca: authority.cert, servername: 'localhost', ALPNProtocols: ['h2'] };
    const heard = await new Promise<string>((done) => {
      const socket = connectTls(options, () => socket.write(http1));
      let text = '';
      socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => done(text));
    });
    assert.match(heard, /400 .*this port speaks gRPC/s);
  });
});

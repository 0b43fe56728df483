/** What real Mooncake processes said, byte for byte (test/fixtures/mooncake), through our codec and replayed to both of our ends. */
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { decodeDescriptor, encodeDescriptor, type SegmentDescriptor } from '#src/handshake/index.js';
import { exchangeConnection, fetchDescriptor, probe, sendNotify } from '#src/handshake/client.js';
import { encodeFrame, FrameReader, MessageType, parseFrame, type Frame } from '#src/handshake/frame.js';
import { HandshakeListener } from '#src/handshake/listener.js';
import { decodeConnection, decodeNotify, encodeConnection, encodeNotify } from '#src/handshake/messages.js';
import { native, type NativeFault } from '#src/native.js';
import { recordingsOf, type Exchange, type Part, type Recording } from '../../support/mooncake/recorder.js';
import { versions } from '../../support/mooncake/peer.js';

const headerBytes = 24;
const okStatus = '000000005654434d';
const refusedStatus = '010000005654434d';

for (const version of versions) {
  const recordings = await recordingsOf(version);
  describe(`recordings of Mooncake ${version}`, () => {
    test('there are some of both roles', () => {
      const roles = new Set(
        [...recordings.values()].flatMap(({ exchanges }) => exchanges.map(({ asker, answerer }) => `${asker} asks ${answerer}`)),
      );
      for (const role of ['mooncake asks mooncake', 'mooncake asks weightcast', 'weightcast asks mooncake'])
        assert.ok(roles.has(role), role);
    });
    for (const [file, recording] of recordings) {
      const handshakes = recording.exchanges.filter(({ port }) => port === 'handshake');
      const reads = recording.exchanges.filter(({ port }) => port === 'data');
      test(`${file}: messages are decoded and come out of our codec as they were or mean the same`, () => {
        for (const exchange of handshakes) for (const part of exchange.parts) checkMessage(exchange, part);
      });
      test(`${file}: requests are answered by our listener`, () => each(handshakes, replayRequest));
      test(`${file}: answers are understood by our client`, () => each(handshakes, replayAnswer));
      if (recording.transport === 'rdma') continue;
      test(`${file}: reads are answered by our TCP server`, () => each(reads, (exchange) => replayReads(exchange, recording)));
      test(`${file}: answers to reads are understood by our TCP lane`, () =>
        each(reads, (exchange) => replayAnswersToReads(exchange, recording)));
    }
  });
}

async function each(exchanges: readonly Exchange[], replay: (exchange: Exchange) => Promise<void>): Promise<void> {
  assert.ok(exchanges.length > 0);
  await Promise.all(exchanges.map(replay));
}

function bytesOf(exchange: Exchange, from: Part['from']): Buffer {
  return Buffer.concat(exchange.parts.filter((part) => part.from === from).map(({ hex }) => Buffer.from(hex, 'hex')));
}

function frameOf(bytes: Buffer): Frame | undefined {
  const frames = new FrameReader(bytes.length + 1).push(bytes);
  assert.ok(frames.length <= 1);
  return frames[0];
}

/** A message that any reader would give up on; the recorder sends some to see how releases do. */
function isGarbage(frame: Frame): boolean {
  if (![0, 1, 2, 3].includes(frame.type)) return true;
  try {
    parseFrame(frame);
    return false;
  } catch {
    return true;
  }
}

function checkMessage(exchange: Exchange, part: Part): void {
  const bytes = Buffer.from(part.hex, 'hex');
  const frame = frameOf(bytes);
  assert.ok(frame, `${exchange.note}: not one whole frame`);
  if (isGarbage(frame)) return;
  const ours = exchange[part.from] === 'weightcast';
  const value = parseFrame(frame);
  const again = encodeAgain(frame.type, value);
  if (again === undefined) return;
  // Connection requests of the recorder's are written by hand, as old releases would.
  if (ours && frame.type !== MessageType.connection) assert.deepEqual(encodeFrame(frame.type, again.json), bytes, exchange.note);
  if (frame.type === MessageType.metadata) checkDescriptor(frame, decodeDescriptor(value));
  assert.deepEqual(again.decoded, again.decode(parseFrame({ type: frame.type, payload: Buffer.from(again.json) })), exchange.note);
}

/** The fields, by another parser than ours: Node's. Numbers of these recordings are below 2^53. */
function checkDescriptor({ payload }: Frame, decoded: SegmentDescriptor): void {
  const raw = JSON.parse(payload.toString()) as RawDescriptor;
  const buffers = decoded.buffers.map(({ location, address, length }) => ({
    name: location,
    addr: Number(address),
    length: Number(length),
  }));
  assert.deepEqual(
    raw.buffers.map(({ name, addr, length }) => ({ name, addr, length })),
    buffers,
  );
  assert.deepEqual(
    [raw.name, raw.protocol, raw.tcp_data_port, raw.tcp_proto_version ?? 1, raw.timestamp],
    [decoded.name, decoded.protocol, decoded.tcpDataPort, decoded.tcpProtoVersion, decoded.timestamp],
  );
  assert.deepEqual(raw.devices ?? [], decoded.devices);
}

interface RawDescriptor {
  readonly name: string;
  readonly protocol: string;
  readonly tcp_data_port: number;
  readonly tcp_proto_version?: number;
  readonly timestamp?: string;
  readonly devices?: readonly object[];
  readonly buffers: readonly { readonly name: string; readonly addr: number; readonly length: number }[];
}

interface Again {
  readonly json: string;
  readonly decoded: unknown;
  readonly decode: (value: unknown) => unknown;
}

/** What our codec makes of a message, and of what it made of it; `undefined` for Probe, which says nothing. */
function encodeAgain(type: number, value: unknown): Again | undefined {
  if (type === MessageType.metadata) {
    const decoded = decodeDescriptor(value);
    return { json: encodeDescriptor(decoded).json, decoded, decode: decodeDescriptor };
  }
  if (type === MessageType.connection) {
    // Old releases refuse with null, which reads as a message of empty fields.
    const decoded = decodeConnection(value ?? {});
    return { json: encodeConnection(decoded), decoded: { ...decoded, readyAck: undefined }, decode: decodeConnection };
  }
  if (type === MessageType.notify) {
    const decoded = decodeNotify(value);
    return { json: encodeNotify(decoded), decoded, decode: decodeNotify };
  }
  return undefined;
}

/** To a listener of ours that offers what the recorded answerer offered. */
async function replayRequest(exchange: Exchange): Promise<void> {
  const request = bytesOf(exchange, 'asker');
  const frame = frameOf(request);
  assert.ok(frame);
  const recorded = frameOf(bytesOf(exchange, 'answerer'));
  const notified: string[] = [];
  await using listener = await HandshakeListener.listen({
    host: '127.0.0.1',
    handlers: {
      metadata: () => (recorded?.type === MessageType.metadata ? decodeDescriptor(parseFrame(recorded)) : undefined),
      connection: (asked) =>
        Promise.resolve({ ...asked, localNicPath: asked.peerNicPath, peerNicPath: asked.localNicPath, readyAck: undefined }),
      notify: ({ message }) => notified.push(message),
    },
  });
  const reply = await say(listener.port, request);
  if (isGarbage(frame)) {
    assert.equal(reply.length, 0, exchange.note);
    return;
  }
  const answered = frameOf(reply);
  assert.equal(answered?.type, frame.type, exchange.note);
  if (frame.type === MessageType.metadata && recorded !== undefined) {
    assert.deepEqual(decodeDescriptor(parseFrame(answered)), decodeDescriptor(parseFrame(recorded)), exchange.note);
  }
  if (frame.type === MessageType.connection) {
    const [asked, got] = [decodeConnection(parseFrame(frame)), decodeConnection(parseFrame(answered))];
    assert.deepEqual([got.localNicPath, got.peerNicPath], [asked.peerNicPath, asked.localNicPath], exchange.note);
  }
  if (frame.type === MessageType.notify) assert.deepEqual(notified, [decodeNotify(parseFrame(frame)).message]);
}

/** By a peer that says what the recorded one said, to the call of ours that asks so. */
async function replayAnswer(exchange: Exchange): Promise<void> {
  const frame = frameOf(bytesOf(exchange, 'asker'));
  assert.ok(frame);
  if (isGarbage(frame)) return;
  const answer = bytesOf(exchange, 'answerer');
  await using peer = await answering(() => answer);
  const address = `127.0.0.1:${String(peer.port)}`;
  const request = parseFrame(frame);
  const asking = (): Promise<unknown> => {
    if (frame.type === MessageType.metadata) return fetchDescriptor(address, decodeDescriptor(request));
    if (frame.type === MessageType.connection) return exchangeConnection(address, decodeConnection(request));
    return frame.type === MessageType.notify ? sendNotify(address, decodeNotify(request)) : probe(address);
  };
  const recorded = frameOf(answer);
  if (recorded === undefined) {
    await assert.rejects(asking(), (error: unknown) => error instanceof WeightcastError && error.code === 'ERR_PEER_LOST');
    return;
  }
  const value = parseFrame(recorded);
  const got = await asking();
  if (frame.type === MessageType.metadata) assert.deepEqual(got, decodeDescriptor(value));
  if (frame.type === MessageType.connection) assert.deepEqual(got, decodeConnection(value ?? {}));
}

/** A read and its answer, of a connection that may have had several. */
interface Read {
  readonly request: Buffer;
  readonly size: number;
  readonly address: bigint;
  readonly withStatus: boolean;
  readonly answer: Buffer;
  /** Inside of what was registered, by the descriptor that stands in the same recording. */
  readonly registered: boolean;
}

function readsOf(exchange: Exchange, recording: Recording): Read[] {
  const buffers = recording.exchanges.flatMap(descriptorIn).flatMap((descriptor) => descriptor.buffers);
  return exchange.parts.flatMap((part, index): Read[] => {
    if (part.from === 'answerer') return [];
    const request = Buffer.from(part.hex, 'hex');
    assert.equal(request.length, headerBytes, 'one request at a time');
    const [size, address] = [request.readBigUInt64LE(0), request.readBigUInt64LE(8)];
    const next = exchange.parts[index + 1];
    const answer = Buffer.from(next?.from === 'answerer' ? next.hex : '', 'hex');
    const registered = buffers.some((buffer) => address >= buffer.address && address + size <= buffer.address + buffer.length);
    return [{ request, size: Number(size), address, withStatus: (request.readUInt8(16) & 0x80) !== 0, answer, registered }];
  });
}

function descriptorIn(exchange: Exchange): SegmentDescriptor[] {
  const frame = exchange.port === 'handshake' ? frameOf(bytesOf(exchange, 'answerer')) : undefined;
  return frame?.type === MessageType.metadata ? [decodeDescriptor(parseFrame(frame))] : [];
}

/** The bytes of the tensor in an answer. */
function bodyOf({ withStatus, answer }: Read): Buffer {
  if (!withStatus) return answer;
  assert.equal(answer.toString('hex', 0, 8), okStatus);
  return answer.subarray(8);
}

/** The recorded requests, with our address in them, padding and all; what is not registered is refused, whatever the peer did. */
async function replayReads(exchange: Exchange, recording: Recording): Promise<void> {
  const server = await native().listenTcp('127.0.0.1', 0, 1);
  const region = await native().allocate(4096n, 'never');
  try {
    for (const read of readsOf(exchange, recording)) {
      const bytes = new Uint8Array(region.view(0n, 4096));
      if (read.registered) bytes.set(bodyOf(read));
      server.serve([region], BigUint64Array.of(region.address), BigUint64Array.of(read.registered ? BigInt(read.size) : 5n));
      const request = Buffer.from(read.request);
      request.writeBigUInt64LE(region.address, 8);
      const refused = read.withStatus ? refusedStatus : '';
      const expected = read.registered ? read.answer.toString('hex') : refused;
      assert.equal((await say(server.port, request, expected.length / 2)).toString('hex'), expected, exchange.note);
    }
  } finally {
    await server.close();
    region.close();
  }
}

/** A lane of ours over a peer that answers as recorded, and closes when the recorded one did. */
async function replayAnswersToReads(exchange: Exchange, recording: Recording): Promise<void> {
  const reads = readsOf(exchange, recording);
  const [first] = reads;
  assert.ok(first);
  // A release that checks no address gave bytes; a lane of ours takes them, since it never asks for what is not registered.
  const refused = first.answer.length === 0 || (first.withStatus && first.answer.toString('hex') === refusedStatus);
  await using peer = await answering((request) => {
    const found = reads.find(({ request: recorded }) => recorded.subarray(0, 17).equals(request.subarray(0, 17)));
    return found?.answer ?? Buffer.alloc(0);
  }, exchange.closedBy === 'asker');
  const lane = await native().connectTcpLane({
    name: 'replayed',
    host: '127.0.0.1',
    port: peer.port,
    protocolVersion: first.withStatus ? 2 : 1,
    connectTimeoutMs: 5000,
    stallTimeoutMs: 10_000,
  });
  const region = await native().allocate(4096n, 'never');
  const address = BigUint64Array.from(reads, (read) => read.address);
  const length = BigUint64Array.from(reads, (read) => BigInt(read.size));
  const place = (index: number): bigint => BigInt(1024 * index);
  const outcome = await native().startTransfer({
    remoteAddress: address,
    length,
    localOffset: BigUint64Array.from(reads, (_, index) => place(index)),
    region: new Uint32Array(reads.length),
    regions: [region],
    bufferAddress: address,
    bufferLength: length,
    lanes: [lane],
    sliceBytes: 4096,
    maxSegments: 1,
    merge: true,
  }).done;
  await lane.close();
  const fault: NativeFault | undefined = outcome.fault;
  if (refused) {
    assert.equal(fault?.nativeCode, first.withStatus ? 'REMOTE_ACCESS' : 'PEER_LOST', exchange.note);
  } else {
    assert.equal(fault, undefined, exchange.note);
    for (const [index, read] of reads.entries()) {
      assert.deepEqual(Buffer.from(region.view(place(index), read.size)), bodyOf(read), exchange.note);
    }
  }
  region.close();
}

/** What comes back until the peer closes, or `enough` bytes have. */
function say(port: number, bytes: Buffer, enough = Infinity): Promise<Buffer> {
  return new Promise((resolve) => {
    let got = Buffer.alloc(0);
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(bytes));
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk]);
      if (got.length >= enough && enough > 0) socket.destroy();
    });
    socket
      .on('error', () => undefined)
      .on('close', () => {
        resolve(got);
      });
  });
}

/** Answers everything that it is sent, in whole requests, and closes then; `stay` leaves a connection open that was answered. */
async function answering(answer: (request: Buffer) => Buffer, stay = false): Promise<{ port: number } & AsyncDisposable> {
  const server: Server = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .on('data', (request: Buffer) => {
        const bytes = answer(request);
        if (stay && bytes.length > 0) socket.write(bytes);
        else socket.end(bytes);
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  };
}

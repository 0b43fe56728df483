import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { WeightcastError } from '#src/errors.js';
import { encodeFrame, FrameReader, MessageType, parseFrame, peerReadLimit } from '#src/handshake/frame.js';
import { stringifyCompact } from '#src/handshake/json.js';
import { encodeConnection, encodeNotify, probeReply, probeRequest } from '#src/handshake/messages.js';

const isProtocolError = (error: unknown): boolean => error instanceof WeightcastError && error.code === 'ERR_PROTOCOL';

/** A length field and some payload. */
function raw(length: bigint, ...payload: number[]): Buffer {
  const frame = Buffer.alloc(8 + payload.length);
  frame.writeBigUInt64LE(length);
  frame.set(payload, 8);
  return frame;
}

function hexHead(frame: Buffer): string {
  return frame.subarray(0, 9).toString('hex');
}

describe('handshake frames', () => {
  it('are byte for byte those of Mooncake', () => {
    assert.equal(encodeFrame(MessageType.probe, probeRequest).toString('hex'), '0400000000000000037b7d0a');
    const reply = encodeFrame(MessageType.probe, probeReply);
    assert.equal(hexHead(reply), '160000000000000003');
    assert.equal(reply.toString('utf8', 9), '{"status":"success"}\n');
    const notify = encodeFrame(MessageType.notify, encodeNotify({ name: 'a', message: 'b' }));
    assert.equal(hexHead(notify), '1f0000000000000002');
    assert.equal(notify.toString('utf8', 9), '{"name":"a","notify_msg":"b"}\n');
    assert.equal(encodeFrame(MessageType.connection, 'null').toString('hex'), '0600000000000000006e756c6c0a');
    assert.equal(encodeFrame(MessageType.metadata, 'null').toString('hex'), '0600000000000000016e756c6c0a');
    const metadata = encodeFrame(
      MessageType.metadata,
      stringifyCompact({ protocol: 'tcp', name: '10.0.0.9:15555', tcp_data_port: 0, buffers: [] }),
    );
    assert.equal(hexHead(metadata), '4b0000000000000001');
    assert.equal(metadata.toString('utf8', 9), '{"buffers":[],"name":"10.0.0.9:15555","protocol":"tcp","tcp_data_port":0}\n');
  });

  it('of a Connection request count the type byte and the line feed', () => {
    const frame = encodeFrame(
      MessageType.connection,
      encodeConnection({
        localNicPath: '10.0.0.9:15555@mlx5_0',
        peerNicPath: '10.0.0.5:15428@mlx5_1',
        queuePairs: [291, 292],
        replyMessage: '',
        localGid: '00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:09',
        localLid: 0,
      }),
    );
    assert.equal(hexHead(frame), 'cf0000000000000000');
    assert.equal(
      frame.toString('utf8', 9),
      '{"local_gid":"00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:09","local_lid":0,' +
        '"local_nic_path":"10.0.0.9:15555@mlx5_0","payload":"","peer_nic_path":"10.0.0.5:15428@mlx5_1","qp_num":[291,292],"reply_msg":""}\n',
    );
  });

  it('are found in a stream however it is cut', () => {
    const message = fc.record({ type: fc.constantFrom(0, 1, 2, 3, 0xff), text: fc.string({ unit: 'binary', maxLength: 300 }) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 30 }), (messages, cuts) => {
        // Without a type byte a message must begin like JSON.
        const stream = Buffer.concat(messages.map(({ type, text }) => encodeFrame(type, stringifyCompact(text))));
        const reader = new FrameReader(peerReadLimit);
        const received = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          received.push(...reader.push(stream.subarray(at, at + cut)));
          at += cut;
        }
        assert.deepEqual(
          received.map((frame) => ({ type: frame.type, text: parseFrame(frame) })),
          messages.map(({ type, text }) => ({ type, text })),
        );
      }),
    );
  });

  it('are found one byte at a time', () => {
    const frame = encodeFrame(MessageType.metadata, '{"name":"x"}');
    const reader = new FrameReader(peerReadLimit);
    const received = [...frame].flatMap((byte, index) => {
      const frames = reader.push(Uint8Array.of(byte));
      assert.equal(frames.length, index === frame.length - 1 ? 1 : 0);
      return frames;
    });
    assert.deepEqual(parseFrame(received[0]!), { name: 'x' });
  });

  it('without a type byte are messages of the old protocol', () => {
    const [frame] = new FrameReader(100).push(Buffer.concat([raw(7n), Buffer.from('{"a":1}')]));
    assert.equal(frame?.type, MessageType.oldProtocol);
    assert.deepEqual(parseFrame(frame), { a: 1 });
    assert.deepEqual(encodeFrame(MessageType.oldProtocol, '{}'), Buffer.concat([raw(3n), Buffer.from('{}\n')]));
    // 0x04 is text for Mooncake, and 0x80 a type that nobody knows.
    assert.equal(new FrameReader(100).push(raw(1n, 0x04))[0]?.type, MessageType.oldProtocol);
    assert.equal(new FrameReader(100).push(raw(1n, 0x7f))[0]?.type, MessageType.oldProtocol);
    assert.equal(new FrameReader(100).push(raw(1n, 0x80))[0]?.type, 0x80);
  });

  it('may be as long as the limit and no longer', () => {
    const longest = encodeFrame(MessageType.connection, `"${'x'.repeat(peerReadLimit - 4)}"`);
    assert.equal(longest.readBigUInt64LE(), BigInt(peerReadLimit));
    assert.equal(new FrameReader(peerReadLimit).push(longest).length, 1);
    assert.throws(() => new FrameReader(peerReadLimit).push(raw(BigInt(peerReadLimit) + 1n, 0)), isProtocolError);
    for (const length of [0n, 2n ** 63n, 2n ** 64n - 1n]) {
      assert.throws(() => new FrameReader(peerReadLimit).push(raw(length, 0)), isProtocolError, String(length));
    }
    assert.throws(() => new FrameReader(peerReadLimit).push(raw(0n)), isProtocolError, 'an empty frame has no type byte to wait for');
  });

  it('are limited by their type', () => {
    const limit = (type: number): number => (type === MessageType.metadata ? 1000 : 10);
    assert.deepEqual(new FrameReader(limit).push(raw(1000n, MessageType.metadata)), []);
    assert.throws(() => new FrameReader(limit).push(raw(1000n, MessageType.connection)), isProtocolError);
  });

  it('survive garbage: only ERR_PROTOCOL is ever thrown', () => {
    const foreign = [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), Buffer.from('160301020001000001fc0303', 'hex')];
    for (const bytes of foreign) assert.throws(() => new FrameReader(peerReadLimit).push(bytes), isProtocolError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 60 }), (payload, length) => {
        try {
          const stream = Buffer.concat([raw(BigInt(length)), payload]);
          for (const frame of new FrameReader(50).push(stream)) parseFrame(frame);
        } catch (error) {
          assert.ok(isProtocolError(error), String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('must be UTF-8', () => {
    assert.throws(() => parseFrame({ type: 0, payload: Buffer.from([0x22, 0xff, 0x22]) }), /UTF-8/);
    assert.equal(parseFrame({ type: 0, payload: Buffer.from('"é"\n') }), 'é');
  });
});

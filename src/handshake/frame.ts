/** Framing of every handshake message: u64 length (little-endian), u8 type, JSON text with a line feed. */
import { isUtf8 } from 'node:buffer';
import { WeightcastError } from '../errors.js';
import { type JsonValue, parseJson } from './json.js';

/** The type byte. `oldProtocol` never travels: such a frame has no type byte and stands for a Connection. */
export const MessageType = { connection: 0, metadata: 1, notify: 2, probe: 3, oldProtocol: 0xff } as const;

/** One received frame. */
export interface Frame {
  /** The type byte as received, unknown ones included, or {@link MessageType.oldProtocol}. */
  readonly type: number;
  /** The JSON text as bytes, not yet looked at. */
  readonly payload: Buffer;
}

/** Bytes that Mooncake readers accept by default: type byte and JSON. */
export const peerReadLimit = 1024 * 1024;

/** Bytes of a stranger's descriptor that we accept: a Metadata request carries the asker's own, with all its buffers. */
export const metadataRequestLimit = 16 * 1024 * 1024;

const headerBytes = 8;
const firstAllocation = 64 * 1024;

/** The frame of one JSON text; the line feed is added and counted. */
export function encodeFrame(type: number, json: string): Buffer {
  const typed = type !== MessageType.oldProtocol;
  const text = Buffer.byteLength(json);
  const start = headerBytes + (typed ? 1 : 0);
  const frame = Buffer.allocUnsafe(start + text + 1);
  frame.writeBigUInt64LE(BigInt(frame.length - headerBytes), 0);
  if (typed) frame.writeUInt8(type, headerBytes);
  frame.write(json, start, 'utf8');
  frame.writeUInt8(0x0a, start + text);
  return frame;
}

/** @throws WeightcastError `ERR_PROTOCOL` when the payload is not UTF-8 or not JSON. */
export function parseFrame(frame: Frame): JsonValue {
  if (!isUtf8(frame.payload)) throw new WeightcastError('ERR_PROTOCOL', 'malformed handshake message: expected JSON in UTF-8');
  return parseJson(frame.payload.toString('utf8'));
}

/**
 * Cuts a byte stream into frames. Memory follows what was received (twice that at most), not what a length claims. After an error the
 * stream is lost: drop the connection.
 */
export class FrameReader {
  readonly #limit: (type: number) => number;
  #buffer = Buffer.alloc(0);
  #used = 0;

  /** `limit`: bytes that a frame's length may claim (type byte and JSON), for all types or by type. */
  constructor(limit: number | ((type: number) => number)) {
    this.#limit = typeof limit === 'number' ? () => limit : limit;
  }

  /** Takes bytes, returns the frames that they complete. @throws WeightcastError `ERR_PROTOCOL` on a length of 0 or over the limit. */
  push(chunk: Uint8Array): Frame[] {
    this.#append(chunk);
    const frames: Frame[] = [];
    let start = 0;
    for (;;) {
      // The type byte decides the limit, and no frame is without at least one byte.
      if (this.#used - start < headerBytes + 1) {
        if (this.#used - start === headerBytes && this.#buffer.readBigUInt64LE(start) === 0n) this.#refuse(0n, 1);
        break;
      }
      const length = this.#buffer.readBigUInt64LE(start);
      const first = this.#buffer.readUInt8(start + headerBytes);
      // Compared as signed in Mooncake: 0x80 and above are unknown types, not text.
      const type = first > MessageType.probe && first < 0x80 ? MessageType.oldProtocol : first;
      const limit = this.#limit(type);
      if (length === 0n || length > BigInt(limit)) this.#refuse(length, limit);
      const end = start + headerBytes + Number(length);
      if (this.#used < end) break;
      const payload = this.#buffer.subarray(start + headerBytes + (type === MessageType.oldProtocol ? 0 : 1), end);
      frames.push({ type, payload });
      start = end;
    }
    if (start > 0) {
      // The frames keep the old memory; what is left moves to memory of its own.
      this.#buffer = Buffer.from(this.#buffer.subarray(start, this.#used));
      this.#used = this.#buffer.length;
    }
    return frames;
  }

  #append(chunk: Uint8Array): void {
    const needed = this.#used + chunk.length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, firstAllocation, 2 * this.#buffer.length));
      this.#buffer.copy(grown, 0, 0, this.#used);
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#used);
    this.#used = needed;
  }

  #refuse(length: bigint, limit: number): never {
    throw new WeightcastError(
      'ERR_PROTOCOL',
      `handshake frame of ${String(length)} bytes: expected 1 to ${String(limit)}; not a handshake peer, or a larger descriptor than accepted`,
    );
  }
}

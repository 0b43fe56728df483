/** What a peer's first bytes are. They are looked at before HTTP/2 or TLS sees them. */
import type { Socket } from 'node:net';

/** `http2`: the client preface and the head of its SETTINGS; `http1`: a request line; `tls`: a handshake record. */
export type Greeting = 'http2' | 'http1' | 'tls' | 'noise';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const frameHead = 9;
const methods = ['GET ', 'POST ', 'PUT ', 'HEAD ', 'OPTIONS ', 'DELETE ', 'PATCH ', 'CONNECT ', 'TRACE '];

/** Undefined: more bytes are needed, 33 in all at most. */
export function recognise(bytes: Buffer): Greeting | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === 0x16) return bytes.length < 2 ? undefined : bytes[1] === 0x03 ? 'tls' : 'noise';
  const shared = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, shared, 0, shared) === 0) {
    if (bytes.length < preface.length + frameHead) return undefined;
    return isSettings(bytes.subarray(preface.length)) ? 'http2' : 'noise';
  }
  const text = bytes.toString('latin1', 0, 8);
  if (methods.some((method) => text.startsWith(method))) return 'http1';
  return methods.some((method) => method.startsWith(text)) ? undefined : 'noise';
}

/** RFC 9113, 3.4 and 6.5: the first frame is SETTINGS, of stream 0, of whole entries, and no acknowledgement. */
function isSettings(frame: Buffer): boolean {
  const length = frame.readUIntBE(0, 3);
  const acknowledges = ((frame[4] ?? 0) & 1) === 1;
  return length <= 16_384 && length % 6 === 0 && frame[3] === 4 && !acknowledges && (frame.readUInt32BE(5) & 0x7fffffff) === 0;
}

/** Calls back once with the first words, which stay in the socket to be read again; not at all when the peer goes before. */
export function hear(socket: Socket, heard: (greeting: Greeting) => void): void {
  let words: Buffer = Buffer.alloc(0);
  const listen = (): void => {
    // In paused mode one read takes all that is there.
    const bytes = socket.read() as Buffer | null;
    if (bytes === null) return;
    words = words.length === 0 ? bytes : Buffer.concat([words, bytes]);
    const greeting = recognise(words);
    if (greeting === undefined) return;
    socket.off('readable', listen);
    socket.unshift(words);
    heard(greeting);
  };
  socket.on('readable', listen);
}

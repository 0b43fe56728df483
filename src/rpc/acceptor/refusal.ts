/** Saying no to a peer in its own language. */
import type { Socket } from 'node:net';

/** HTTP/2 error codes (RFC 9113, 7). */
export const http2Error = { protocol: 0x1, enhanceYourCalm: 0xb, inadequateSecurity: 0xc } as const;

/** An empty SETTINGS, which must come first, and a GOAWAY whose debug data gRPC clients print. */
export function goaway(error: number, reason: string): Buffer {
  const text = Buffer.from(reason, 'utf8');
  const bytes = Buffer.alloc(9 + 9 + 8 + text.length);
  bytes[3] = 4;
  bytes.writeUIntBE(8 + text.length, 9, 3);
  bytes[12] = 7;
  bytes.writeUInt32BE(error, 22);
  text.copy(bytes, 26);
  return bytes;
}

export function http1Answer(reason: string): Buffer {
  const head = ['HTTP/1.1 400 Bad Request', 'Content-Type: text/plain; charset=utf-8', 'Connection: close'];
  return Buffer.from(`${head.join('\r\n')}\r\nContent-Length: ${String(Buffer.byteLength(reason) + 1)}\r\n\r\n${reason}\n`);
}

/** A fatal alert, "protocol version": the nearest that TLS has to "no TLS here". */
export const tlsAlert = Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]);

/** How long a peer may take to read why it is refused. Milliseconds. */
const lingerMs = 1000;

/** Sends the last words and closes, at the latest after a second. */
export function dismiss(socket: Socket, words: Buffer): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  // Reading on: to close with unread bytes is a reset, which overtakes the words.
  socket.resume();
  socket.end(words);
}

/** HTTP/2 frames by hand, for peers that do not keep to the rules. */

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0), length = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const settings = (payload?: Uint8Array): Buffer => frame(4, 0, 0, payload);
export const ping = frame(6, 0, 0, Buffer.alloc(8));
export const reset = (stream: number): Buffer => frame(3, 0, stream, Buffer.from([0, 0, 0, 8]));

/** What every client says first. */
export const hello = Buffer.concat([preface, settings()]);

/** HEADERS of a gRPC call: HPACK with names of the static table, values as they are. */
export function callHeaders(stream: number, path: string, endStream = false): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const block = Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]),
    text(path),
    Buffer.from([0x01]),
    text('test'),
    Buffer.from([0x0f, 0x10]),
    text('application/grpc'),
    Buffer.from([0x00]),
    text('te'),
    text('trailers'),
  ]);
  return frame(1, endStream ? 5 : 4, stream, block);
}

/** DATA of one whole gRPC message. */
export function message(stream: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return frame(0, 1, stream, Buffer.concat([head, bytes]));
}

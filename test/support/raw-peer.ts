/** Peers down to the byte: a TCP server that answers as a test says, and a client that sends what it likes. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFrame, FrameReader, type Frame } from '#src/handshake/frame.js';
import { type JsonObject, parseJson, stringifyCompact, type JsonValue } from '#src/handshake/json.js';

/** What a scripted peer does with one request: a reply, `undefined` to close without one, or anything with the socket. */
export type Answer = (request: JsonObject, type: number, socket: Socket) => Promise<JsonValue | undefined> | JsonValue | undefined;

/** A Mooncake-like process that is made of one answer function. */
export interface ScriptedPeer {
  readonly address: string;
  /** Requests so far, and how many of their connections the client has closed. */
  readonly requests: { readonly type: number; readonly body: JsonObject }[];
  closedByClient: number;
}

/**
 * Listens on a free port until the tests of the file end. `serial`: one connection at a time, the next one waits until the
 * client of the former has closed, as Mooncake's listener thread does.
 */
export async function scriptedPeer(answer: Answer, options: { serial?: boolean } = {}): Promise<ScriptedPeer> {
  const sockets = new Set<Socket>();
  let turn = Promise.resolve();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    const served = serve(socket, () => (options.serial === true ? turn : Promise.resolve()));
    if (options.serial === true) turn = served;
  });
  const serve = async (socket: Socket, myTurn: () => Promise<void>): Promise<void> => {
    const wait = myTurn();
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => {
        sockets.delete(socket);
        resolve();
      });
    });
    const reader = new FrameReader(256 * 1024 * 1024);
    socket.on('error', () => undefined);
    socket.on('end', () => {
      peer.closedByClient++;
      socket.end();
    });
    socket.on('data', (chunk: Buffer) => {
      for (const frame of reader.push(chunk)) void wait.then(() => reply(socket, frame));
    });
    await wait;
    await closed;
  };
  const reply = async (socket: Socket, frame: Frame): Promise<void> => {
    const body = parseJson(frame.payload.toString()) as JsonObject;
    peer.requests.push({ type: frame.type, body });
    const value = await answer(body, frame.type, socket);
    if (socket.destroyed || socket.writableEnded) return;
    if (value === undefined) socket.end();
    else socket.end(encodeFrame(frame.type, stringifyCompact(value)));
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const peer: ScriptedPeer = { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests: [], closedByClient: 0 };
  return peer;
}

/** Never answers, never closes. */
export const silence: Answer = () => new Promise(() => undefined);

/** Sends bytes and collects everything until the other side has closed. */
export function talk(
  port: number,
  chunks: readonly Uint8Array[],
  options: { pauseMs?: number; halfClose?: boolean } = {},
): Promise<Buffer> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      resolve(Buffer.concat(received));
    });
    socket.on('connect', () => {
      void (async () => {
        for (const chunk of chunks) {
          if (socket.destroyed) return;
          socket.write(chunk);
          if (options.pauseMs !== undefined) await sleep(options.pauseMs);
        }
        if (options.halfClose === true) socket.end();
      })();
    });
  });
}

/** Waits for something that happens soon; fails after 5 s. */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not happen within 5 s: ${what}`);
    await sleep(5);
  }
}

/** A frame's JSON, of a reply that {@link talk} collected. */
export function bodyOf(reply: Buffer): JsonObject {
  const [frame] = new FrameReader(256 * 1024 * 1024).push(reply);
  if (frame === undefined) throw new Error(`no complete frame in ${reply.length} bytes`);
  return parseJson(frame.payload.toString()) as JsonObject;
}

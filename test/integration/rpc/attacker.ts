/**
 * A hostile client in a process of its own: `node attacker.js KIND PORT SECONDS ADDRESS [FOLDER]`, where ADDRESS is its own
 * and FOLDER has what a server knows that wants TLS and tokens. Its first line says that it begins; its last line tells what it did, in JSON.
 */
import { randomBytes } from 'node:crypto';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { callHeaders, frame, hello, message, ping, preface, reset, settings } from './frames.js';
import { type Certificate, clientTls, tokens } from './secure-side.js';

const [kind = '', portText = '', secondsText = '1', from = '127.0.0.2', secure = ''] = process.argv.slice(2);
const port = Number(portText);
let end = 0;
const done: Record<string, number> = { connected: 0, closed: 0, failed: 0, sent: 0, answered: 0, refused: 0 };
const add = (key: string, by = 1): void => void (done[key] = (done[key] ?? 0) + by);
const over = (): boolean => Date.now() >= end;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function open(onData: (bytes: Buffer) => void = () => undefined): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from });
    socket.on('connect', () => {
      add('connected');
      resolve(socket);
    });
    socket.on('error', () => {
      add('failed');
      resolve(undefined);
    });
    socket.on('close', () => add('closed'));
    socket.on('data', onData);
  });
}

/** Keeps `lanes` sockets at it: each is opened again when it is closed, no more than ten times a second. */
async function keepAt(lanes: number, work: (socket: Socket) => Promise<void>): Promise<void> {
  const lane = async (): Promise<void> => {
    while (!over()) {
      const socket = await open();
      if (socket !== undefined) await work(socket);
      socket?.destroy();
      await pause(100);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Writes the same bytes again and again, `perSecond` times a second in portions of a few milliseconds, while the peer takes them. */
async function pour(socket: Socket, perSecond: number, next: () => Buffer): Promise<void> {
  let sent = 0;
  const start = Date.now();
  while (!over() && socket.writable) {
    const due = ((Date.now() - start + 5) / 1000) * perSecond;
    const portion: Buffer[] = [];
    for (; sent < due; sent += 1) portion.push(next());
    if (portion.length > 0) {
      add('sent', portion.length);
      if (!socket.write(Buffer.concat(portion))) {
        await Promise.race([
          new Promise((resolve) => socket.once('drain', resolve)),
          new Promise((resolve) => socket.once('close', resolve)),
          pause(200),
        ]);
      }
    }
    await pause(5);
  }
}

async function idle(count: number, first: Buffer): Promise<void> {
  const sockets: Promise<Socket | undefined>[] = [];
  for (let i = 0; i < count; i += 1) {
    sockets.push(open().then((socket) => (socket?.write(first), socket)));
    if (i % 100 === 99) await pause(10);
  }
  await Promise.all(sockets);
  while (!over()) await pause(50);
}

/** Handshakes on every lane, one after the other. */
async function handshakes(lanes: number, certificate?: Certificate): Promise<void> {
  const tls = { host: '127.0.0.1', port, localAddress: from, ALPNProtocols: ['h2'], ...clientTls(secure, certificate) };
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connectTls(tls);
      add('connected');
      const timer = setTimeout(() => socket.destroy(), 1000);
      socket.on('secureConnect', () => socket.write(hello));
      socket.on('data', (bytes: Buffer) => {
        // A GOAWAY that gives the reason.
        if (bytes.includes('certificate')) add('refused');
        socket.destroy();
      });
      socket.on('error', () => add('failed'));
      socket.on('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  const lane = async (): Promise<void> => {
    while (!over()) {
      await one();
      await pause(20);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Calls one after the other on every stream of every connection. @param token undefined: none; for a server that wants TLS. */
async function calls(connections: number, streams: number, path: string, body: Buffer, secured?: { token?: string }): Promise<void> {
  const dial = (): Socket => {
    const options = { host: '127.0.0.1', port, localAddress: from };
    return secured === undefined ? connect(options) : connectTls({ ...options, ALPNProtocols: ['h2'], ...clientTls(secure, 'good') });
  };
  const token = secured?.token === undefined ? {} : { authorization: `Bearer ${secured.token}` };
  const session = (): ClientHttp2Session => {
    const made = connectHttp2(`${secured === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}`, {
      // Megabytes may wait to be sent.
      maxSessionMemory: 4096,
      createConnection: dial,
    });
    made.on('error', () => add('failed'));
    made.on('close', () => add('closed'));
    return made;
  };
  const one = (at: ClientHttp2Session): Promise<void> =>
    new Promise((resolve) => {
      const stream = at.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...token });
      let status: unknown;
      const see = (headers: IncomingHttpHeaders): void => void (status = headers['grpc-status']);
      stream.on('response', see);
      stream.on('trailers', see);
      stream.on('error', () => undefined);
      stream.on('close', () => {
        add(status === '0' ? 'answered' : status === '8' || status === '16' ? 'refused' : 'failed');
        resolve();
      });
      stream.resume();
      add('sent');
      stream.end(body);
    });
  const worker = async (holder: { at: ClientHttp2Session }): Promise<void> => {
    while (!over()) {
      if (holder.at.closed || holder.at.destroyed) {
        await pause(100);
        if (holder.at.closed || holder.at.destroyed) holder.at = session();
      }
      await one(holder.at);
    }
  };
  const all = Array.from({ length: connections }, () => {
    const holder = { at: session() };
    return Promise.all(Array.from({ length: streams }, () => worker(holder)));
  });
  await Promise.race([Promise.all(all), pause(Math.max(0, end - Date.now()) + 200)]);
}

function body(bytes: number): Buffer {
  const whole = Buffer.alloc(5 + bytes, 1);
  whole[0] = 0;
  whole.writeUInt32BE(bytes, 1);
  return whole;
}

let stream = 1;
const nextStream = (): number => (stream += 2);

const kinds: Record<string, () => Promise<void>> = {
  idle: () => idle(10_000, hello),
  halfOpen: () => idle(900, Buffer.alloc(0)),
  dribble: async () => {
    await keepAt(200, async (socket) => {
      for (const byte of preface) {
        if (over() || !socket.writable) return;
        socket.write(Buffer.from([byte]));
        await pause(500);
      }
    });
  },
  noise: () => keepAt(20, async (socket) => pour(socket, 500, () => randomBytes(1024))),
  noiseAfterHello: () =>
    keepAt(20, async (socket) => {
      socket.write(hello);
      await pour(socket, 500, () => randomBytes(1024));
    }),
  oversizedFrames: () =>
    keepAt(20, async (socket) => {
      socket.write(hello);
      await pour(socket, 50, () => frame(0, 0, 1, Buffer.alloc(16_384), 0xffffff));
    }),
  wrongSettings: () =>
    keepAt(20, async (socket) => {
      socket.write(Buffer.concat([preface, settings(Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff]))]));
      await pour(socket, 50, () => settings(Buffer.from([0, 5, 0, 0, 0, 1])));
    }),
  http1: () => keepAt(20, async (socket) => pour(socket, 50, () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))),
  tlsHello: () =>
    keepAt(20, async (socket) => pour(socket, 50, () => Buffer.concat([Buffer.from([0x16, 3, 1, 0, 200, 1]), randomBytes(199)]))),
  pings: () =>
    keepAt(4, async (socket) => {
      socket.write(hello);
      await pour(socket, 50_000, () => ping);
    }),
  settingsFlood: () =>
    keepAt(4, async (socket) => {
      socket.write(hello);
      await pour(socket, 50_000, () => settings());
    }),
  rapidReset: () =>
    keepAt(4, async (socket) => {
      socket.write(hello);
      await pour(socket, 5000, () => {
        const id = nextStream();
        return Buffer.concat([callHeaders(id, '/test.Bytes/Hang'), message(id, Buffer.alloc(4)), reset(id)]);
      });
    }),
  unknownMethods: () => calls(8, 100, '/test.Bytes/None', body(4)),
  calls: () => calls(8, 100, '/test.Bytes/Echo', body(4)),
  hangingCalls: () => calls(40, 50, '/test.Bytes/Hang', body(4)),
  large: () => calls(4, 1, '/test.Bytes/Size', body(90 * 2 ** 20)),
  tooLarge: () => calls(4, 1, '/test.Bytes/Size', body(101 * 2 ** 20)),
  noCertificate: () => handshakes(50),
  foreignCertificate: () => handshakes(50, 'foreign'),
  expiredCertificate: () => handshakes(50, 'expired'),
  noToken: () => calls(8, 100, '/test.Bytes/Echo', body(4), {}),
  wrongToken: () => calls(8, 100, '/test.Bytes/Echo', body(4), { token: tokens.wrong }),
  rotatedToken: () => calls(8, 100, '/test.Bytes/Echo', body(4), { token: tokens.rotated }),
  slowReaders: () =>
    keepAt(4, async (socket) => {
      socket.write(hello);
      socket.pause();
      await pour(socket, 20, () => {
        const id = nextStream();
        return Buffer.concat([callHeaders(id, '/test.Bytes/Make'), message(id, Buffer.from(String(16 * 2 ** 20)))]);
      });
    }),
};

const attack = kinds[kind];
if (attack === undefined) throw new Error(`no such attack: ${kind}`);
console.log('ready');
end = Date.now() + Number(secondsText) * 1000;
await attack();
console.log(JSON.stringify(done));
process.exit(0);

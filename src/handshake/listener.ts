/** The answering side: one TCP port that takes Metadata, Connection, Notify and Probe from whoever connects. */
import { createServer, type Server, type Socket } from 'node:net';
import { toWeightcastError, WeightcastError } from '../errors.js';
import type { Logger } from '../observe/logger.js';
import { formatAddress } from './address.js';
import { encodeDescriptor, type SegmentDescriptor } from './descriptor.js';
import { encodeFrame, type Frame, FrameReader, MessageType, metadataRequestLimit, parseFrame, peerReadLimit } from './frame.js';
import type { JsonValue } from './json.js';
import {
  type ConnectionMessage,
  decodeConnection,
  decodeNotify,
  encodeConnection,
  encodeNotify,
  type NotifyMessage,
  probeReply,
} from './messages.js';
import { rejection } from './rejection.js';

/** What the listener's owner answers. */
export interface HandshakeHandlers {
  /** `undefined`: nothing to offer yet. `request` is the asker's own descriptor, parsed but not checked. */
  metadata(request: unknown): SegmentDescriptor | undefined;
  /** An error that it throws becomes a rejection with that text. */
  connection(request: ConnectionMessage): Promise<ConnectionMessage>;
  notify?(message: NotifyMessage): void;
}

export interface ListenOptions {
  /** Address to bind: one interface's, `0.0.0.0`, `::`, or `''` for every interface of both families. */
  readonly host: string;
  /** Default: a random free port from 15000 to 17000, so that no peer takes this process for a dead one. */
  readonly port?: number | undefined;
  readonly handlers: HandshakeHandlers;
  readonly logger?: Logger | undefined;
  /** A connection without progress is dropped after so many ms. Default 5 000. */
  readonly idleTimeoutMs?: number | undefined;
}

const firstPort = 15_000;
const lastPort = 17_000;
const portAttempts = 500;
/** Received bytes that all connections together may hold. */
const receiveBudget = 64 * 1024 * 1024;
const maxConnections = 1024;
const backlog = 511;
/** How long one request may take to arrive, and one reply to leave, when bytes keep trickling. */
const totalTimeoutMs = 300_000;

/**
 * Concurrent, one request a connection, no trust: garbage, HTTP, TLS, silence and floods only end their own connection.
 * There is no authentication in this protocol; `host` decides who can reach it.
 */
export class HandshakeListener implements AsyncDisposable {
  /** Where peers connect. */
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #handlers: HandshakeHandlers;
  readonly #logger: Logger | undefined;
  readonly #idleTimeoutMs: number;
  readonly #descriptorFrames = new WeakMap<SegmentDescriptor, Buffer>();
  #receivedBytes = 0;

  private constructor(server: Server, port: number, options: ListenOptions) {
    this.#server = server;
    this.port = port;
    this.#handlers = options.handlers;
    this.#logger = options.logger;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 5_000;
    server.on('connection', (socket) => {
      this.#accept(socket);
    });
    server.on('error', (error) => {
      this.#logger?.error('handshake listener failed', { port, error: error.message });
    });
  }

  /** @throws WeightcastError `ERR_IO` when the address cannot be bound or no port is free. */
  static async listen(options: ListenOptions): Promise<HandshakeListener> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.maxConnections = maxConnections;
    for (let attempt = 1; ; attempt++) {
      const port = options.port ?? firstPort + Math.floor(Math.random() * (lastPort - firstPort + 1));
      try {
        await bind(server, options.host, port);
        const address = server.address();
        return new HandshakeListener(server, typeof address === 'object' && address !== null ? address.port : port, options);
      } catch (error) {
        const retry = options.port === undefined && (error as NodeJS.ErrnoException).code === 'EADDRINUSE' && attempt < portAttempts;
        if (!retry) throw toWeightcastError(error, { doing: `cannot listen for handshakes on ${formatAddress(options.host, port)}` });
      }
    }
  }

  /** Stops listening and drops open connections. Handlers that still run are not waited for. Idempotent. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * A connection is *receiving* until one frame is complete, *handling* while the owner works on it, then *replying*
   * until the client closes. `idle` limits the first and the last, `total` bounds each of them.
   */
  #accept(socket: Socket): void {
    const peer = formatAddress(socket.remoteAddress ?? '?', socket.remotePort ?? 0);
    const reader = new FrameReader((type) => (type === MessageType.metadata ? metadataRequestLimit : peerReadLimit));
    let held = 0;
    let receiving = true;
    let total = setTimeout(drop, totalTimeoutMs, 'request took too long');

    const release = (): void => {
      this.#receivedBytes -= held;
      held = 0;
    };
    function drop(reason: string): void {
      socket.destroy(new Error(reason));
    }
    const reply = (frame: Buffer): void => {
      if (socket.destroyed) return;
      total = setTimeout(drop, totalTimeoutMs, 'reply took too long');
      socket.setTimeout(this.#idleTimeoutMs);
      socket.end(frame, () => {
        // The reply has left. Clients that keep their side open, or keep sending, get no longer than this.
        clearTimeout(total);
        total = setTimeout(() => socket.destroy(), this.#idleTimeoutMs);
      });
    };

    this.#sockets.add(socket);
    socket.setTimeout(this.#idleTimeoutMs, () => {
      drop(receiving ? 'no request in time' : 'reply was not read in time');
    });
    socket.on('error', (error) => {
      this.#logger?.debug('handshake connection dropped', { peer, reason: error.message });
    });
    socket.on('close', () => {
      clearTimeout(total);
      release();
      this.#sockets.delete(socket);
    });
    socket.on('end', () => {
      if (receiving) socket.destroy();
    });
    socket.on('data', (chunk) => {
      if (!receiving) return;
      held += chunk.length;
      this.#receivedBytes += chunk.length;
      try {
        if (this.#receivedBytes > receiveBudget) throw new WeightcastError('ERR_PROTOCOL', 'too many bytes of unfinished requests');
        const frame = reader.push(chunk)[0];
        if (frame === undefined) return;
        receiving = false;
        clearTimeout(total);
        socket.setTimeout(0);
        this.#answer(frame, peer).then(reply, (error: unknown) => {
          const { code, message } = toWeightcastError(error);
          if (code !== 'ERR_PROTOCOL') this.#logger?.error('handshake request failed', { peer, code, error: message });
          drop(message);
        });
        release();
      } catch (error) {
        drop(toWeightcastError(error).message);
      }
    });
  }

  async #answer(frame: Frame, peer: string): Promise<Buffer> {
    const value = parseFrame(frame);
    switch (frame.type) {
      case MessageType.connection:
      case MessageType.oldProtocol:
        return encodeFrame(frame.type, encodeConnection(await this.#connection(value, peer)));
      case MessageType.metadata: {
        const descriptor = this.#handlers.metadata(value);
        return descriptor === undefined ? encodeFrame(frame.type, 'null') : this.#descriptorFrame(descriptor);
      }
      case MessageType.notify: {
        const message = decodeNotify(value, peer);
        this.#handlers.notify?.(message);
        return encodeFrame(frame.type, encodeNotify({ name: '', message: 'success' }));
      }
      case MessageType.probe:
        return encodeFrame(frame.type, probeReply);
      default:
        throw new WeightcastError('ERR_PROTOCOL', `handshake message of unknown type ${String(frame.type)}`, { peer });
    }
  }

  async #connection(value: JsonValue, peer: string): Promise<ConnectionMessage> {
    let request: ConnectionMessage | undefined;
    try {
      request = decodeConnection(value, peer);
      return await this.#handlers.connection(request);
    } catch (error) {
      const { message } = toWeightcastError(error);
      this.#logger?.warn('handshake rejected', { peer, path: request?.peerNicPath, reason: message });
      return rejection(request, message);
    }
  }

  /** A large descriptor is encoded once, not for every reader. */
  #descriptorFrame(descriptor: SegmentDescriptor): Buffer {
    let frame = this.#descriptorFrames.get(descriptor);
    if (frame === undefined) {
      frame = encodeFrame(MessageType.metadata, encodeDescriptor(descriptor).json);
      this.#descriptorFrames.set(descriptor, frame);
    }
    return frame;
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Accepts connections, lets in those that may come and speak gRPC, and keeps count of them until they are closed. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../../observe/logger.js';
import { QuietLogger } from '../../observe/quiet-logger.js';
import type { ServerTls } from '../../security/server-tls.js';
import type { Address } from '../address.js';
import type { EndpointLimits } from '../endpoint-limits.js';
import type { ConnectionRefusal, EndpointObserver } from '../endpoint-observer.js';
import { listen } from '../listen.js';
import { plainAddress } from '../plain-address.js';
import { Admission, type Denial } from './admission.js';
import { type Greeting, hear } from './greeting.js';
import { Handshakes } from './handshakes.js';
import type { Turns } from '../interceptors/turns.js';
import type { Reading } from './reading.js';
import { tapOf } from './tap.js';
import type { Traffic } from './traffic.js';
import { dismiss, goaway, http1Answer, http2Error, tlsAlert } from './refusal.js';

export interface AcceptorOptions {
  readonly address: Address;
  readonly tls: ServerTls | undefined;
  readonly limits: EndpointLimits;
  /** Is told of served connections, and closed with the last of them. */
  readonly traffic: Traffic;
  /** Has to say which served connections are read. */
  readonly reading: Reading;
  /** New connections are looked at in the turn of their address. */
  readonly turns: Turns;
  readonly observer: EndpointObserver;
  readonly logger: Logger;
  /** Takes a connection over whose first bytes are HTTP/2's. */
  readonly serve: (socket: Socket) => void;
}

/** A connection that was let in. It is `greeting` until TLS and HTTP/2 have begun, then `served`; `refused` is on its way out. */
interface Connection {
  readonly raw: Socket;
  readonly client: string;
  state: 'greeting' | 'served' | 'refused';
}

/** Connections that are refused and wait to be told so; more are closed without a word. */
const dismissalsAtOnce = 100;

export class Acceptor {
  readonly port: number;
  readonly #options: AcceptorOptions;
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #handshakes = new Handshakes();
  readonly #log: QuietLogger;
  readonly #connections = new Set<Connection>();
  #stopped: Promise<void> | undefined;
  /** Connections that wait to be told that they are refused. */
  #dismissals = 0;
  #whenEmpty: (() => void)[] = [];

  private constructor(options: AcceptorOptions, server: Server, port: number) {
    this.port = port;
    this.#options = options;
    this.#server = server;
    this.#admission = new Admission(options.limits);
    this.#log = new QuietLogger(options.logger);
    // Accepting failed. Where file descriptors are what is missing, libuv mostly closes the connection without a word.
    server.on('error', (error: NodeJS.ErrnoException) => {
      options.observer.connectionRefused('files');
      this.#log.warn('files', 'a connection could not be accepted', { error, hint: 'raise the limit on open files (ulimit -n)' });
    });
    server.on('connection', (raw: Socket) => this.#accept(raw));
  }

  /** @throws ERR_INVALID_ARGUMENT for a host that is not known, ERR_IO when the system refuses the address. */
  static async open(options: AcceptorOptions): Promise<Acceptor> {
    const server = createServer();
    // Nobody can be between the port's opening and the listeners: connections are announced by the event loop.
    const port = await listen(server, options.address);
    return new Acceptor(options, server, port);
  }

  /** Connections that are let in and not closed. */
  get open(): number {
    return this.#admission.open;
  }

  /** Accepts no more, and closes what has not begun to be served. Resolves when the last connection is closed. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise<void>((done) => {
      this.#server.close();
      for (const { raw, state } of this.#connections) if (state === 'greeting') raw.destroy();
      if (this.#connections.size === 0) done();
      else this.#whenEmpty.push(done);
    }).then(() => {
      this.#admission.close();
      this.#handshakes.close();
      this.#options.traffic.close();
    });
    return this.#stopped;
  }

  /** Closes every connection now. */
  destroy(): void {
    for (const { raw } of this.#connections) raw.destroy();
  }

  /** Closes all connections of an address, and lets no new ones in for `shutOutMs`. */
  shutOut(address: string): void {
    const { shutOutMs } = this.#options.limits;
    if (shutOutMs === 0) return;
    this.#admission.shutOut(address, shutOutMs);
    this.#log.warn('shut-out', 'a client is shut out: it goes on calling though it is refused', { client: address, shutOutMs });
    for (const connection of this.#connections) {
      if (connection.client !== address || connection.state === 'refused') continue;
      connection.state = 'refused';
      this.#options.observer.connectionRefused('shut_out');
      connection.raw.destroy();
    }
  }

  #accept(raw: Socket): void {
    // Whoever serves the socket hears of errors by itself; until then they only close it.
    raw.on('error', () => undefined);
    if (raw.remoteAddress === undefined) {
      raw.destroy();
      return;
    }
    const client = plainAddress(raw.remoteAddress);
    if (this.#stopped !== undefined) {
      raw.destroy();
      return;
    }
    const denial = this.#admission.enter(client);
    if (denial !== undefined) {
      this.#turnAway(raw, client, denial);
      return;
    }
    const connection: Connection = { raw, client, state: 'greeting' };
    this.#connections.add(connection);
    this.#options.observer.connectionOpened();
    const timer = setTimeout(() => this.#late(connection), this.#options.limits.handshakeTimeoutMs);
    raw.once('close', () => {
      clearTimeout(timer);
      this.#leave(connection);
    });
    this.#options.turns.take(client, () => {
      hear(raw, (greeting) => this.#begin(connection, greeting, timer));
    });
  }

  #begin(connection: Connection, greeting: Greeting, timer: NodeJS.Timeout): void {
    const { tls } = this.#options;
    const serve = (socket: Socket): void => {
      clearTimeout(timer);
      this.#serve(connection, socket);
    };
    if (tls === undefined) {
      if (greeting === 'http2') serve(connection.raw);
      else this.#notGrpc(connection, connection.raw, greeting);
      return;
    }
    if (greeting !== 'tls') {
      this.#notTls(connection, greeting);
      return;
    }
    this.#handshakes.enter(connection.client, connection.raw, (over) => {
      this.#options.turns.take(connection.client, () => this.#handshake(connection, tls, serve, over));
    });
  }

  /** @param over to be called when TLS has begun, or will not. */
  #handshake(connection: Connection, tls: ServerTls, serve: (socket: Socket) => void, over: () => void): void {
    if (connection.raw.destroyed) return;
    tls.handshake(connection.raw, {
      secured: (socket) => {
        over();
        socket.on('error', () => undefined);
        hear(socket, (inner) => {
          if (inner === 'http2') serve(socket);
          else this.#notGrpc(connection, socket, inner);
        });
      },
      failed: (error) => {
        over();
        this.#refuse(connection, 'tls', 'a TLS handshake failed', { reason: error.code ?? error.message });
      },
      refused: (socket, reason) => {
        over();
        socket.on('error', () => undefined);
        this.#refuse(connection, 'certificate', 'a client was refused in the TLS handshake', { reason });
        dismiss(socket, goaway(http2Error.inadequateSecurity, reason));
      },
    });
  }

  #serve(connection: Connection, socket: Socket): void {
    connection.state = 'served';
    this.#options.reading.enter(connection.client, () => {
      if (!connection.raw.destroyed) this.#handOver(connection, socket);
    });
  }

  #handOver(connection: Connection, socket: Socket): void {
    const { traffic, reading, serve } = this.#options;
    const tap = tapOf(connection.raw);
    if (tap !== undefined) connection.raw.once('close', reading.add(connection.client, tap));
    const remove = traffic.add(connection.raw, (how) => {
      this.#refuse(connection, 'flood', 'a connection floods and is closed', { how });
      connection.raw.destroy();
    });
    connection.raw.once('close', remove);
    serve(socket);
  }

  #notGrpc(connection: Connection, socket: Socket, greeting: Greeting): void {
    const reason = 'this port speaks gRPC (HTTP/2)';
    this.#refuse(connection, 'protocol', 'a connection did not begin as gRPC does', { greeting });
    if (greeting === 'http1') dismiss(socket, http1Answer(`${reason}, not HTTP/1`));
    else if (greeting === 'tls') dismiss(socket, tlsAlert);
    else dismiss(socket, goaway(http2Error.protocol, reason));
  }

  #notTls(connection: Connection, greeting: Greeting): void {
    const reason = 'this port speaks gRPC over TLS';
    this.#refuse(connection, 'protocol', 'a connection to a TLS port did not begin with TLS', { greeting });
    if (greeting === 'http1') dismiss(connection.raw, http1Answer(`${reason}, not HTTP/1`));
    else if (greeting === 'http2') dismiss(connection.raw, goaway(http2Error.inadequateSecurity, `${reason}, not clear text`));
    else connection.raw.destroy();
  }

  #late(connection: Connection): void {
    const { handshakeTimeoutMs } = this.#options.limits;
    this.#refuse(connection, 'handshake_timeout', 'a connection did not begin as gRPC does in time', { handshakeTimeoutMs });
    connection.raw.destroy();
  }

  #refuse(connection: Connection, why: ConnectionRefusal, message: string, fields: object): void {
    if (connection.state === 'refused') return;
    connection.state = 'refused';
    this.#options.observer.connectionRefused(why);
    this.#log.warn(why, message, { client: connection.client, ...fields });
  }

  /** A connection too many: at once, and cheaply. */
  #turnAway(raw: Socket, client: string, { refusal, limit }: Denial): void {
    const { observer, limits, tls, turns } = this.#options;
    observer.connectionRefused(refusal);
    const reason = `connection refused: limit ${limit} of ${limits[limit]} is reached; try again later`;
    this.#log.warn(refusal, 'a connection is refused: a limit is reached', { client, limit, of: limits[limit], open: this.open });
    // In TLS nothing can be said so early; and who is refused very often is not told every time.
    if (tls !== undefined || this.#dismissals >= dismissalsAtOnce) {
      raw.destroy();
      return;
    }
    this.#dismissals += 1;
    turns.take(client, () => {
      this.#dismissals -= 1;
      raw.end(goaway(http2Error.enhanceYourCalm, reason), () => raw.destroy());
    });
  }

  #leave(connection: Connection): void {
    this.#connections.delete(connection);
    this.#admission.leave(connection.client);
    this.#options.observer.connectionClosed();
    if (this.#connections.size > 0) return;
    for (const done of this.#whenEmpty) done();
    this.#whenEmpty = [];
  }
}

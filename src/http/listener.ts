/** A small HTTP/1.1 server for few routes: metrics, probes, the page, what SGLang asks a seed. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '../observe/logger.js';
import { type Address, formatAddress } from '../rpc/address.js';
import { listen } from '../rpc/listen.js';
import { sendText } from './answer.js';
import type { Routes } from './routes.js';

export interface HttpListenerOptions {
  /** Port 0 takes a free one. */
  readonly address: Address;
  readonly routes: Routes;
  readonly logger: Logger;
  /** Open connections; more are closed at once. Default 256. */
  readonly maxConnections?: number;
}

/** A request's head must be here after this long, all of it after twice as long. Milliseconds. */
const headMs = 5000;
/** How long a connection may stay open between requests. Milliseconds. */
const keepAliveMs = 10_000;
const maxHeadBytes = 8 * 1024;
const maxHeaders = 64;
/** Answers that nobody reads are given up after this long. Milliseconds. */
const stalledMs = 30_000;

/** Only paths and queries are of interest. */
const base = 'http://server';

/** For whatever a route does not set itself. Nothing is fetched, framed or guessed. */
const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export class HttpListener {
  readonly port: number;
  /** `host:port` with the real port. */
  readonly address: string;
  readonly #server: Server;

  private constructor(server: Server, host: string) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.address = formatAddress({ host, port: this.port });
  }

  /** @throws ERR_INVALID_ARGUMENT for a host that is not known, ERR_IO when the system refuses the address. */
  static async open({ address, routes, logger, maxConnections = 256 }: HttpListenerOptions): Promise<HttpListener> {
    const server = createServer(
      {
        headersTimeout: headMs,
        requestTimeout: 2 * headMs,
        keepAliveTimeout: keepAliveMs,
        connectionsCheckingInterval: 1000,
        maxHeaderSize: maxHeadBytes,
      },
      (request, response) => {
        void answer(request, response, routes, logger);
      },
    );
    server.maxConnections = maxConnections;
    server.maxHeadersCount = maxHeaders;
    server.setTimeout(stalledMs);
    server.on('clientError', refuse);
    await listen(server, address);
    server.on('error', (error) => {
      logger.warn('HTTP server', { error });
    });
    return new HttpListener(server, address.host);
  }

  /** Stops accepting, lets answers under way finish for up to `graceMs` milliseconds, then ends them. Never rejects. */
  async close(graceMs: number): Promise<void> {
    const timer = setTimeout(() => {
      this.#server.closeAllConnections();
    }, graceMs);
    await new Promise((done) => {
      this.#server.close(done);
      this.#server.closeIdleConnections();
    });
    clearTimeout(timer);
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: Routes, logger: Logger): Promise<void> {
  // The peer may go at any time; that is no fault of ours.
  response.on('error', () => undefined);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // Nobody promises to read what comes with a request: the connection cannot be used again then.
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (length !== '0' || encoding !== undefined) response.shouldKeepAlive = false;
  const target = request.url ?? '';
  // "//host/path" would be taken for a host.
  const path = target.startsWith('/') && !target.startsWith('//') ? target : '/';
  const url = new URL(URL.canParse(path, base) ? path : '/', base);
  const { method = '' } = request;
  const reads = method === 'GET' || method === 'HEAD';
  const handler = path === target ? routes.get(reads ? url.pathname : `${method} ${url.pathname}`) : undefined;
  if (handler === undefined) {
    const allowed = methodsOf(routes, url.pathname);
    if (reads && allowed.length === 0) {
      sendText(response, 404, 'there is nothing here\n');
      return;
    }
    response.setHeader('allow', (allowed.length > 0 ? allowed : readingMethods).join(', '));
    sendText(response, 405, `not ${method} here\n`);
    return;
  }
  try {
    await handler(request, response, url);
  } catch (error) {
    logger.error('HTTP request failed', { path: url.pathname, error });
    if (response.headersSent) response.destroy();
    else sendText(response, 500, 'this failed; the log says why\n');
  }
}

const readingMethods = ['GET', 'HEAD'];

/** What a path can be asked by. */
function methodsOf(routes: Routes, path: string): string[] {
  const others = [...routes.keys()].filter((key) => key.endsWith(` ${path}`)).map((key) => key.slice(0, -path.length - 1));
  return [...(routes.has(path) ? readingMethods : []), ...others];
}

const statusOf: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** What is no HTTP gets a last word. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(`HTTP/1.1 ${statusOf[error.code ?? ''] ?? '400 Bad Request'}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  socket.destroySoon();
}

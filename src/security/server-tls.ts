/** TLS on the server's side: handshakes on accepted connections, with certificates that follow their files. */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { Logger } from '../observe/logger.js';
import { readServerCertificates, type ServerCertificates } from './server-certificates.js';
import type { ServerTlsFiles } from './tls-files.js';

export interface ServerTlsOptions {
  readonly logger: Logger;
  /** Pause between two looks at the files. Milliseconds; default 5000. */
  readonly pollMs?: number;
}

/** How a handshake ended; never called when the peer leaves in the middle of it. */
export interface HandshakeOutcome {
  secured(socket: TLSSocket): void;
  /** The handshake itself failed, and the socket is closed. */
  failed(error: NodeJS.ErrnoException): void;
  /** The peer speaks TLS but may not come in; it can be told so before the socket is closed. */
  refused(socket: TLSSocket, reason: string): void;
}

/** Remaining life of a certificate below which its age is worth a warning. */
const soonMs = 14 * 24 * 3600 * 1000;

export class ServerTls {
  readonly #files: ServerTlsFiles;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  /** By the peer's address and port: the TLS server does not say which socket a handshake began on. */
  readonly #handshakes = new Map<string, HandshakeOutcome>();
  #current: ServerCertificates;
  #lastProblem = '';

  private constructor(files: ServerTlsFiles, certificates: ServerCertificates, options: ServerTlsOptions) {
    this.#files = files;
    this.#logger = options.logger;
    this.#current = certificates;
    this.#server = createServer({
      ...contextOf(certificates),
      ALPNProtocols: ['h2'],
      requestCert: certificates.clientCa !== undefined,
      // Checked below: an unauthorized peer is told why, which Node's own check would not do.
      rejectUnauthorized: false,
    });
    this.#server.on('secureConnection', (socket) => this.#finished(socket));
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      this.#take(socket)?.failed(error);
      socket.destroy();
    });
    this.#timer = setInterval(() => {
      this.reload();
    }, options.pollMs ?? 5000).unref();
    this.#warnOfAge();
  }

  /** @throws ERR_TLS that names the file and what is wrong with it. */
  static open(files: ServerTlsFiles, options: ServerTlsOptions): ServerTls {
    return new ServerTls(files, readServerCertificates(files), options);
  }

  /** Begins the handshake. Without a time limit: whoever accepted the connection has one. */
  handshake(raw: Socket, outcome: HandshakeOutcome): void {
    const key = keyOf(raw);
    if (key === undefined) return;
    this.#handshakes.set(key, outcome);
    raw.once('close', () => {
      if (this.#handshakes.get(key) === outcome) this.#handshakes.delete(key);
    });
    this.#server.emit('connection', raw);
  }

  /** Looks at the files now. New connections get what is new and usable; otherwise everything stays as it was. Never throws. */
  reload(): void {
    try {
      const read = readServerCertificates(this.#files);
      this.#lastProblem = '';
      if (same(read, this.#current)) return;
      this.#server.setSecureContext(contextOf(read));
      this.#current = read;
      this.#logger.info('new TLS certificate in use', { file: this.#files.certFile, subject: read.subject, validTo: read.validTo });
      this.#warnOfAge();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem === this.#lastProblem) return;
      this.#lastProblem = problem;
      this.#logger.error('TLS files cannot be used; the certificate read before stays in use', { error });
    }
  }

  /** No more looks at the files. Connections stay. */
  close(): void {
    clearInterval(this.#timer);
  }

  #finished(socket: TLSSocket): void {
    const outcome = this.#take(socket);
    if (outcome === undefined) {
      socket.destroy();
      return;
    }
    const { authorizationError } = socket as { authorizationError?: unknown };
    if (this.#current.clientCa !== undefined && !socket.authorized) {
      outcome.refused(socket, describe(String(authorizationError)));
    } else if (socket.alpnProtocol !== 'h2') {
      outcome.refused(socket, 'the client did not offer HTTP/2 (ALPN "h2")');
    } else {
      outcome.secured(socket);
    }
  }

  #take(socket: Socket): HandshakeOutcome | undefined {
    const key = keyOf(socket);
    if (key === undefined) return undefined;
    const outcome = this.#handshakes.get(key);
    this.#handshakes.delete(key);
    return outcome;
  }

  #warnOfAge(): void {
    const { validTo, subject } = this.#current;
    if (validTo.getTime() - Date.now() > soonMs) return;
    this.#logger.warn('the TLS certificate ends soon', { file: this.#files.certFile, subject, validTo });
  }
}

function contextOf({ cert, key, clientCa }: ServerCertificates): SecureContextOptions {
  return {
    cert,
    key,
    ca: clientCa,
    minVersion: 'TLSv1.2',
    // Resumed sessions would outlive the certificates they were made with.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function same(a: ServerCertificates, b: ServerCertificates): boolean {
  const clientCa = a.clientCa === undefined ? b.clientCa === undefined : b.clientCa !== undefined && a.clientCa.equals(b.clientCa);
  return clientCa && a.cert.equals(b.cert) && a.key.equals(b.key);
}

function keyOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress}|${String(remotePort)}`;
}

const reasons: Record<string, string> = {
  UNABLE_TO_GET_ISSUER_CERT: 'a client certificate is required',
  CERT_HAS_EXPIRED: 'the client certificate has expired',
  CERT_NOT_YET_VALID: 'the client certificate is not valid yet',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the client certificate is signed by an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the client certificate is signed by an authority that is not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'the client certificate is signed by an authority that is not trusted here',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the client certificate is signed by itself and not trusted here',
  INVALID_PURPOSE: 'the client certificate is not meant for clients',
};

function describe(code: string): string {
  return reasons[code] ?? `the client certificate is refused: ${code}`;
}

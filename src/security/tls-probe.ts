/**
 * Why TLS with a server does not work. gRPC tells its callers no more than that the server is unavailable, so after such
 * a failure one connection is made to find the reason. It carries no call and no token.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { ClientTls } from './client-tls.js';
import { explainAlert, explainCertificate, shownCertificate } from './tls-reasons.js';

export interface ProbeAddress {
  readonly host: string;
  readonly port: number;
}

/** The client's preface and an empty SETTINGS: servers that look before they speak answer only to that. */
const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);

/**
 * @returns the reason, as a clause whose subject is the server ("its certificate has expired"); undefined when TLS works,
 * or when the server cannot be reached at all. Never rejects, and takes no longer than `timeoutMs` milliseconds.
 */
export function whyTlsFails(address: ProbeAddress, tls: ClientTls, timeoutMs: number): Promise<string | undefined> {
  const { host, port } = address;
  return talk<string | undefined>(
    // What is wrong with the certificate is looked at here, where the certificate is at hand.
    connect({ host, port, ...tls.connectOptions, checkServerIdentity: () => undefined, rejectUnauthorized: false }),
    {
      timeoutMs,
      secured: (socket) => {
        const reason = explainCertificate(socket, tls);
        if (reason !== undefined) return { answer: reason };
        if (socket.alpnProtocol !== 'h2') return { answer: 'it does not speak HTTP/2 over TLS (ALPN)' };
        socket.write(preface);
        return undefined;
      },
      heard: (bytes) => {
        const [frame, ...rest] = framesIn(bytes);
        if (frame === undefined) return undefined;
        return { answer: [frame, ...rest].find(({ type }) => type === goaway)?.debugData };
      },
      ended: (secured, error) => {
        if (error !== undefined) return explainAlert(error, tls);
        if (!secured) return undefined;
        return `it closed the connection after the handshake; it may not accept the client's certificate: ${shownCertificate(tls)}`;
      },
      late: undefined,
    },
  );
}

/** Whether a server that does not take clear text speaks TLS. Never rejects. */
export function speaksTls({ host, port }: ProbeAddress, timeoutMs: number): Promise<boolean> {
  return talk<boolean>(connect({ host, port, ALPNProtocols: ['h2'], rejectUnauthorized: false }), {
    timeoutMs,
    secured: () => ({ answer: true }),
    heard: () => undefined,
    // To be asked for a certificate is TLS too; a port of ours without TLS answers with an alert of the version.
    ended: (_secured, error) => /_ALERT_(?!PROTOCOL_VERSION)/.test(error?.code ?? ''),
    late: false,
  });
}

/** What a conversation comes to; undefined from a step: it goes on. */
interface Conversation<T> {
  readonly timeoutMs: number;
  readonly secured: (socket: TLSSocket) => { answer: T } | undefined;
  readonly heard: (bytes: Buffer) => { answer: T } | undefined;
  readonly ended: (secured: boolean, error: NodeJS.ErrnoException | undefined) => T;
  readonly late: T;
}

function talk<T>(socket: TLSSocket, conversation: Conversation<T>): Promise<T> {
  return new Promise((done) => {
    let secured = false;
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (answer: T): void => {
      clearTimeout(timer);
      socket.destroy();
      done(answer);
    };
    const timer = setTimeout(() => {
      finish(conversation.late);
    }, conversation.timeoutMs);
    const step = (result: { answer: T } | undefined): void => {
      if (result !== undefined) finish(result.answer);
    };
    socket.once('secureConnect', () => {
      secured = true;
      step(conversation.secured(socket));
    });
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      step(conversation.heard(bytes));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      finish(conversation.ended(secured, error));
    });
    socket.once('close', () => {
      finish(conversation.ended(secured, undefined));
    });
  });
}

const goaway = 7;

/** The HTTP/2 frames that are there as a whole (RFC 9113, 4.1). */
function framesIn(bytes: Buffer): { type: number; debugData: string }[] {
  const frames: { type: number; debugData: string }[] = [];
  let at = 0;
  while (bytes.length - at >= 9) {
    const length = bytes.readUIntBE(at, 3);
    if (bytes.length - at - 9 < length) break;
    const payload = bytes.subarray(at + 9, at + 9 + length);
    frames.push({ type: bytes[at + 3] ?? 0, debugData: `it refused the connection: ${payload.toString('utf8', 8)}` });
    at += 9 + length;
  }
  return frames;
}

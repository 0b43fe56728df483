/** One request, one reply, one connection: how every handshake message travels. */
import { connect, type Socket } from 'node:net';
import { throwIfAborted, WeightcastError } from '../errors.js';
import { parseAddress } from './address.js';
import { encodeFrame, type Frame, FrameReader } from './frame.js';

/** Options of everything that asks a peer. */
export interface ExchangeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Longest wait without a byte of the reply, ms; a reply that trickles is cut off after 30 times that. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Default 5 000 ms. */
  readonly connectTimeoutMs?: number | undefined;
}

const trickleFactor = 30;

/**
 * Sends one message and returns the reply of the same type. The connection is closed as soon as the reply is complete: a
 * Mooncake peer serves one connection at a time and waits for that.
 *
 * @throws WeightcastError `ERR_PEER_LOST` (cannot connect, closed without a reply), `ERR_STALLED` (no reply in time),
 * `ERR_PROTOCOL` (reply over `replyLimit` bytes or of another type), `ERR_ABORTED`, `ERR_INVALID_ARGUMENT` (address).
 */
export function exchange(
  address: string,
  request: { readonly type: number; readonly json: string; readonly doing: string },
  replyLimit: number,
  options: ExchangeOptions = {},
): Promise<Frame> {
  const { signal, timeoutMs = 10_000, connectTimeoutMs = 5_000 } = options;
  const doing = `${request.doing} ${address}`;
  return new Promise((resolve, reject) => {
    throwIfAborted(signal, doing);
    const { host, port } = parseAddress(address);
    const reader = new FrameReader(replyLimit);
    const socket: Socket = connect({ host, port, noDelay: true });
    const total = setTimeout(() => {
      stalled(timeoutMs * trickleFactor);
    }, timeoutMs * trickleFactor);
    let timer = setTimeout(() => {
      fail('ERR_PEER_LOST', `no connection within ${String(connectTimeoutMs)} ms; is the host reachable and the port open?`);
    }, connectTimeoutMs);

    const settle = (): void => {
      clearTimeout(total);
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      // A reset after the end concerns nobody.
      socket.on('error', () => undefined);
      socket.destroy();
    };
    const fail = (code: 'ERR_PEER_LOST' | 'ERR_STALLED' | 'ERR_PROTOCOL' | 'ERR_ABORTED', text: string, cause?: unknown): void => {
      settle();
      const system = firstCause(cause) as NodeJS.ErrnoException | undefined;
      reject(new WeightcastError(code, `${doing}: ${text}`, { cause, peer: address, syscall: system?.syscall, errno: system?.errno }));
    };
    const stalled = (ms: number): void => {
      fail('ERR_STALLED', `no complete reply within ${String(ms)} ms`);
    };
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(stalled, timeoutMs, timeoutMs);
    };
    const onAbort = (): void => {
      fail('ERR_ABORTED', 'aborted', signal?.reason);
    };

    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', () => {
      wait();
      socket.write(encodeFrame(request.type, request.json));
    });
    socket.on('data', (chunk) => {
      wait();
      try {
        const reply = reader.push(chunk)[0];
        if (reply === undefined) return;
        if (reply.type !== request.type) {
          fail('ERR_PROTOCOL', `expected a reply of type ${String(request.type)} but received type ${String(reply.type)}`);
          return;
        }
        settle();
        resolve(reply);
      } catch (error) {
        fail('ERR_PROTOCOL', error instanceof Error ? error.message : String(error), error);
      }
    });
    socket.on('end', () => {
      fail('ERR_PEER_LOST', 'the peer closed the connection without a complete reply');
    });
    socket.on('error', (error) => {
      fail('ERR_PEER_LOST', `${firstCause(error)?.message ?? error.message}; is the peer still running?`, error);
    });
  });
}

/** A connect over several addresses fails with one error for each of them. */
function firstCause(error: unknown): Error | undefined {
  if (error instanceof AggregateError) return firstCause(error.errors[0]);
  return error instanceof Error ? error : undefined;
}

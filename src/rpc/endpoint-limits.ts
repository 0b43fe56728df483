/** What an endpoint lets one client, and all of them together, take of it. */
import { WeightcastError } from '../errors.js';
import { maxMessageBytes } from './limits.js';

/**
 * Limits of a gRPC endpoint. "Client" is, for connections, the peer's address; for calls, the authenticated subject where
 * there is one and the peer's address where there is none. The defaults leave room for a host of busy workers.
 */
export interface EndpointLimits {
  /** Open connections of one client; default 1 000. What is above is told so (GOAWAY, without TLS) and closed at once. */
  readonly connectionsPerClient: number;
  /** Open connections of all clients; default 10 000, or fewer where the system allows the process fewer open files. */
  readonly connections: number;
  /** New connections of one client a second, after a burst of `connectionsPerClient`; default 100; 0: any. */
  readonly connectionRatePerClient: number;
  /** Time for the TLS handshake and HTTP/2's first words together. Milliseconds; default 10 000. */
  readonly handshakeTimeoutMs: number;
  /** A connection without calls is closed after this long. Milliseconds; default 300 000; 0: never. */
  readonly idleTimeoutMs: number;
  /** Pause between pings that find peers that are gone; no answer for 20 s is one. Milliseconds; default 60 000; 0: no pings. */
  readonly keepaliveMs: number;
  /**
   * Calls at the same time on one connection; more are held back by the client's HTTP/2. Default 32, though RFC 9113 6.5.2
   * recommends no less than 100: what comes in one piece is begun in one piece, at 20 to 40 µs each, while others wait. A connection that begins
   * more than twice as many at once, which it can only by resetting them, is closed, and its address shut out the next time.
   */
  readonly streamsPerConnection: number;
  /** Calls of one client at the same time; default 1 000. */
  readonly callsPerClient: number;
  /** Calls of one client a second; default 2 000; 0: any number. */
  readonly callRatePerClient: number;
  /** Calls of one client that may come at once after a quiet time; default 4 000. */
  readonly callBurstPerClient: number;
  /**
   * Calls of one address that may be refused (rate, concurrency, token) before its connections are closed and new ones refused for
   * `shutOutMs`: to refuse costs, too. 200 a second are forgotten. Default 2 000.
   */
  readonly refusalsPerClient: number;
  /** See `refusalsPerClient`. Milliseconds; default 10 000; 0: nobody is shut out. */
  readonly shutOutMs: number;
  /** Largest message, both ways. Bytes; default 104 857 600. */
  readonly messageBytes: number;
  /**
   * Requests of one client that are received at the same time; default 8. Others wait, each with at most 64 KiB received,
   * so a client holds at most this many times `messageBytes`.
   */
  readonly receivingPerClient: number;
  /**
   * Bytes of requests from one address a second, after a burst of 128 MiB; what is above waits. Who sends large messages
   * without a pause holds everybody up, because each is put together in one piece. Default 33 554 432; 0: any number.
   */
  readonly receivingRatePerClient: number;
  /** Time for a request to arrive once it is its turn. Milliseconds; default 60 000. */
  readonly receiveTimeoutMs: number;
  /** Replies on the way to one client; further ones wait until it has read some. Bytes; default 134 217 728. */
  readonly sendingBytesPerClient: number;
}

export const defaultLimits: EndpointLimits = {
  connectionsPerClient: 1000,
  connections: 10_000,
  connectionRatePerClient: 100,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  keepaliveMs: 60_000,
  streamsPerConnection: 32,
  callsPerClient: 1000,
  callRatePerClient: 2000,
  callBurstPerClient: 4000,
  refusalsPerClient: 2000,
  shutOutMs: 10_000,
  messageBytes: maxMessageBytes,
  receivingPerClient: 8,
  receivingRatePerClient: 32 * 1024 * 1024,
  receiveTimeoutMs: 60_000,
  sendingBytesPerClient: 128 * 1024 * 1024,
};

const mayBeZero: readonly (keyof EndpointLimits)[] = [
  'connectionRatePerClient',
  'idleTimeoutMs',
  'keepaliveMs',
  'callRatePerClient',
  'shutOutMs',
  'receivingRatePerClient',
];

/**
 * Fills in the defaults.
 *
 * @throws ERR_INVALID_ARGUMENT for a limit that is not a whole number from 1 (from 0 where 0 means "none") to 2^31 - 1.
 */
export function completeLimits(limits: Partial<EndpointLimits> = {}): EndpointLimits {
  const complete = { ...defaultLimits };
  for (const name of Object.keys(defaultLimits) as (keyof EndpointLimits)[]) {
    const value = limits[name] ?? defaultLimits[name];
    const least = mayBeZero.includes(name) ? 0 : 1;
    if (!Number.isInteger(value) || value < least || value > 0x7fffffff) {
      const text = `Expected a whole number from ${least} to 2147483647 for the limit ${name} but received ${String(value)}`;
      throw new WeightcastError('ERR_INVALID_ARGUMENT', text);
    }
    complete[name] = value;
  }
  return complete;
}

/** What happens to calls before gRPC knows of them: everything that it does for a call costs more than to count it here. */
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { type Server, status } from '@grpc/grpc-js';
import type { Reading } from '../acceptor/reading.js';
import type { Traffic } from '../acceptor/traffic.js';
import type { EndpointLimits } from '../endpoint-limits.js';
import { plainAddress } from '../plain-address.js';
import type { ConnectionInfo } from './client-key.js';
import { rateText } from './rate-text.js';
import { type Begun, guardStreams } from './stream-of.js';
import type { Turns } from './turns.js';

export interface ArrivalsOptions {
  readonly limits: EndpointLimits;
  readonly turns: Turns;
  readonly traffic: Traffic;
  readonly reading: Reading;
  /** Whether one more call from this address may begin. Every call is asked about once. */
  readonly mayCall: (address: string) => boolean;
  /** A call was refused for its rate. */
  readonly refused: (path: string, address: string) => void;
  /** A connection of this address was closed because it began more calls at once than it may have. */
  readonly flooded: (address: string) => void;
}

/** A connection that calls come on. */
interface Caller {
  readonly address: string;
  readonly connection: ConnectionInfo;
  /** Calls that began in turn number `turn`. */
  begun: number;
  turn: number;
}

/**
 * A client has at most `streamsPerConnection` calls open, and begins further ones when it has seen the end of others. More
 * than twice as many without a pause between were reset as soon as they were sent (CVE-2023-44487).
 */
const floodFactor = 2;

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #callers = new WeakMap<Http2Session, Caller>();

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /** @returns whether every call of `server` comes by here from now on. */
  guard(server: Server): boolean {
    return guardStreams(server, (begun, pass) => this.#arrive(begun, pass));
  }

  #arrive({ session, stream, headers }: Begun, pass: () => void): void {
    // It may end while it waits.
    stream.on('error', () => undefined);
    if (session.closed) return;
    const { limits, turns, reading, mayCall, refused } = this.#options;
    const caller = this.#callerOf(session);
    const { address, begun } = caller;
    reading.began(address);
    const most = floodFactor * limits.streamsPerConnection;
    if (begun > most) {
      // Its socket is closed; what was read from it before still comes here, and is left alone.
      if (begun === most + 1) this.#flooded(caller);
      return;
    }
    const allowed = mayCall(address);
    if (!allowed) refused(headers[':path'] ?? '', address);
    turns.take(address, () => {
      if (stream.destroyed || stream.closed) return;
      if (allowed) pass();
      else refuse(stream, rateText(limits));
    });
  }

  #callerOf(session: Http2Session): Caller {
    const turn = this.#options.turns.number;
    let caller = this.#callers.get(session);
    if (caller === undefined) {
      const { remoteAddress, remotePort } = session.socket;
      const address = remoteAddress === undefined ? 'unknown' : plainAddress(remoteAddress);
      caller = { address, connection: { remoteAddress, remotePort }, begun: 0, turn };
      this.#callers.set(session, caller);
    }
    if (caller.turn !== turn) {
      caller.turn = turn;
      caller.begun = 0;
    }
    caller.begun += 1;
    return caller;
  }

  #flooded({ connection, address }: Caller): void {
    this.#options.traffic.flood(connection);
    this.#options.flooded(address);
  }
}

/** As gRPC does it. */
function refuse(stream: ServerHttp2Stream, details: string): void {
  const answer = {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': status.RESOURCE_EXHAUSTED,
    'grpc-message': encodeURI(details),
  };
  stream.respond(answer, { endStream: true });
  stream.resume();
}

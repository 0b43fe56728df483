/** Who may open one more connection. */
import type { EndpointLimits } from '../endpoint-limits.js';
import type { ConnectionRefusal } from '../endpoint-observer.js';
import { type ClientState, PerClient } from '../per-client.js';
import { TokenBucket } from '../token-bucket.js';

class Client implements ClientState {
  open = 0;
  /** Until when it is shut out, on the clock of `performance.now`. */
  shutOutUntil = 0;
  readonly arrivals: TokenBucket;

  constructor(arrivals: TokenBucket) {
    this.arrivals = arrivals;
  }

  get idle(): boolean {
    return this.open === 0 && this.arrivals.full && performance.now() >= this.shutOutUntil;
  }
}

/** Why a connection is not let in, and the limit that says so. */
export interface Denial {
  readonly refusal: ConnectionRefusal;
  readonly limit: keyof EndpointLimits;
}

const denials = {
  total: { refusal: 'total', limit: 'connections' },
  perClient: { refusal: 'per_client', limit: 'connectionsPerClient' },
  rate: { refusal: 'rate', limit: 'connectionRatePerClient' },
  shutOut: { refusal: 'shut_out', limit: 'refusalsPerClient' },
} as const satisfies Record<string, Denial>;

/** Counts the connections of every client address, and all of them. */
export class Admission {
  readonly #limits: EndpointLimits;
  readonly #clients: PerClient<Client>;
  #open = 0;

  constructor(limits: EndpointLimits) {
    this.#limits = limits;
    const { connectionRatePerClient, connectionsPerClient } = limits;
    this.#clients = new PerClient(() => new Client(new TokenBucket(connectionRatePerClient, connectionsPerClient)));
  }

  get open(): number {
    return this.#open;
  }

  /** Undefined: let in, and {@link leave} must follow. */
  enter(address: string): Denial | undefined {
    if (this.#open >= this.#limits.connections) return denials.total;
    const client = this.#clients.of(address);
    if (performance.now() < client.shutOutUntil) return denials.shutOut;
    if (client.open >= this.#limits.connectionsPerClient) return denials.perClient;
    if (!client.arrivals.take()) return denials.rate;
    client.open += 1;
    this.#open += 1;
    return undefined;
  }

  leave(address: string): void {
    this.#clients.of(address).open -= 1;
    this.#open -= 1;
  }

  /** No connection of this address is let in for a while. */
  shutOut(address: string, ms: number): void {
    this.#clients.of(address).shutOutUntil = performance.now() + ms;
  }

  close(): void {
    this.#clients.close();
  }
}

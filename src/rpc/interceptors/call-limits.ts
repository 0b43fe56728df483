/** The limits of calls, as interceptors. */
import { type ServerInterceptingCallInterface, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { Logger } from '../../observe/logger.js';
import { QuietLogger } from '../../observe/quiet-logger.js';
import type { EndpointLimits } from '../endpoint-limits.js';
import type { CallLimit, EndpointObserver } from '../endpoint-observer.js';
import type { Traffic } from '../acceptor/traffic.js';
import { type ClientState, PerClient } from '../per-client.js';
import { TokenBucket } from '../token-bucket.js';
import { ClientCalls } from './client-calls.js';
import { addressOf, clientKey, subjectOf } from './client-key.js';
import { LimitedCall, type Refuse } from './limited-call.js';
import { pace } from './pace.js';
import { rateText } from './rate-text.js';
import { streamOf } from './stream-of.js';
import { Turns } from './turns.js';

export interface CallLimitsOptions {
  readonly limits: EndpointLimits;
  readonly observer: EndpointObserver;
  readonly logger: Logger;
  readonly traffic: Traffic;
  /** An address goes on calling though it is refused. */
  readonly shutOut: (address: string) => void;
}

/** Refusals that are forgotten in a second. */
const forgottenPerSecond = 200;
/** What an address may send at once after a quiet time. Bytes. */
const receivingBurst = 128 * 1024 * 1024;

/** What one address does, whoever it says it is. */
class Address implements ClientState {
  readonly rate: TokenBucket;
  readonly refusals: TokenBucket;
  /** Bytes of requests. */
  readonly bytes: TokenBucket;

  constructor(limits: EndpointLimits) {
    this.rate = new TokenBucket(limits.callRatePerClient, limits.callBurstPerClient);
    this.refusals = new TokenBucket(forgottenPerSecond, limits.refusalsPerClient);
    this.bytes = new TokenBucket(limits.receivingRatePerClient, receivingBurst);
  }

  get idle(): boolean {
    return this.rate.full && this.refusals.full && this.bytes.full;
  }
}

export class CallLimits {
  /** First of all, before anybody is authenticated: the rate of calls from one address. */
  readonly byAddress: ServerInterceptor;
  /** Last of all: what one client, by now known by name, may have under way. */
  readonly byClient: ServerInterceptor;
  readonly #options: CallLimitsOptions;
  readonly #log: QuietLogger;
  readonly #addresses: PerClient<Address>;
  readonly #clients: PerClient<ClientCalls>;

  constructor(options: CallLimitsOptions) {
    this.#options = options;
    this.#log = new QuietLogger(options.logger);
    const { limits } = options;
    this.#addresses = new PerClient(() => new Address(limits));
    this.#clients = new PerClient(() => new ClientCalls(limits));
    this.byAddress = ({ path }, call) => this.#limitAddress(path, call);
    const turns = new Turns<ClientCalls>();
    this.byClient = (method, call) => {
      const key = (): string => clientKey(call);
      const refuse = this.#refusing(method.path, call, key);
      return new LimitedCall(call, {
        method,
        limits,
        refuse,
        turns,
        client: () => this.#clients.of(key()),
        authenticated: () => subjectOf(call) !== undefined,
      });
    };
  }

  close(): void {
    this.#addresses.close();
    this.#clients.close();
  }

  #limitAddress(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const { limits } = this.#options;
    const address = addressOf(call);
    const refuse = this.#refusing(path, call, () => `address ${address}`);
    this.#watchSize(path, call, address);
    const state = this.#addresses.of(address);
    pace(call, state.bytes);
    const refused = !state.rate.take();
    if (refused) this.#strike(address);
    const ended = this.#options.traffic.callBegan(call.getConnectionInfo());
    let began = false;
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, pass) => {
            began = true;
            if (refused) refuse('rate', rateText(limits));
            else pass(metadata);
          },
          onCancel: ended,
        });
        // A call that was cancelled before it began is not heard of again.
        if (!began) ended();
      },
    });
  }

  /** gRPC refuses too large a message itself, below all interceptors: only the call that the first one is given knows. */
  #watchSize(path: string, call: ServerInterceptingCallInterface, address: string): void {
    const sendStatus = call.sendStatus.bind(call);
    call.sendStatus = (answer) => {
      const tooLarge = answer.code === status.RESOURCE_EXHAUSTED && /^Received message .*larger than/.test(answer.details);
      if (tooLarge) this.#note('size', path, `address ${address}`);
      sendStatus(tooLarge ? { ...answer, details: `${answer.details} (limit messageBytes)` } : answer);
      // Otherwise the rest of the message would still be sent, and read.
      if (tooLarge) streamOf(call)?.close();
    };
  }

  #refusing(path: string, call: ServerInterceptingCallInterface, key: () => string): Refuse {
    return (limit, details, code = status.RESOURCE_EXHAUSTED) => {
      this.#note(limit, path, key());
      if (limit === 'concurrency') this.#strike(addressOf(call));
      call.sendStatus({ code, details });
    };
  }

  #strike(address: string): void {
    if (!this.#addresses.of(address).refusals.take()) this.#options.shutOut(address);
  }

  #note(limit: CallLimit, method: string, client: string): void {
    this.#options.observer.callRefused(method, limit);
    this.#log.warn(limit, 'a call is refused: a limit is reached', { limit, method, client });
  }
}

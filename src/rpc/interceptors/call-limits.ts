/** The limits of calls, as interceptors. */
import { type Server, type ServerInterceptingCallInterface, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { Logger } from '../../observe/logger.js';
import { QuietLogger } from '../../observe/quiet-logger.js';
import type { EndpointLimits } from '../endpoint-limits.js';
import type { CallLimit, EndpointObserver } from '../endpoint-observer.js';
import type { Reading } from '../acceptor/reading.js';
import type { Traffic } from '../acceptor/traffic.js';
import { PerClient } from '../per-client.js';
import { AddressCalls } from './address-calls.js';
import { Arrivals } from './arrivals.js';
import { ClientCalls } from './client-calls.js';
import { addressOf, clientKey, subjectOf } from './client-key.js';
import { LimitedCall, type Refuse } from './limited-call.js';
import { pace } from './pace.js';
import { rateText } from './rate-text.js';
import { assembleAsItComes } from './reassembly.js';
import { streamOf } from './stream-of.js';
import type { Turns } from './turns.js';

export interface CallLimitsOptions {
  readonly limits: EndpointLimits;
  readonly observer: EndpointObserver;
  readonly logger: Logger;
  readonly traffic: Traffic;
  readonly reading: Reading;
  readonly turns: Turns;
  /** An address goes on calling though it is refused. */
  readonly shutOut: (address: string) => void;
}

/** So many connections of an address may begin too many calls at once before it is shut out. */
const floodsPerClient = 1;

export class CallLimits {
  /** First of all, before anybody is authenticated: what one address may send. */
  readonly byAddress: ServerInterceptor;
  /** Last of all: what one client, by now known by name, may have under way. */
  readonly byClient: ServerInterceptor;
  readonly #options: CallLimitsOptions;
  readonly #log: QuietLogger;
  readonly #addresses: PerClient<AddressCalls>;
  readonly #clients: PerClient<ClientCalls>;
  /** Calls were counted before gRPC knew of them. */
  #guarded = false;

  constructor(options: CallLimitsOptions) {
    this.#options = options;
    this.#log = new QuietLogger(options.logger);
    const { limits, turns } = options;
    this.#addresses = new PerClient(() => new AddressCalls(limits));
    this.#clients = new PerClient(() => new ClientCalls(limits));
    this.byAddress = ({ path }, call) => this.#limitAddress(path, call);
    this.byClient = (method, call) => {
      const key = (): string => clientKey(call);
      const refuse = this.#refusing(method.path, call, key);
      return new LimitedCall(call, {
        method,
        limits,
        refuse,
        begin: (start) => turns.take(key(), start),
        client: () => this.#clients.of(key()),
        authenticated: () => subjectOf(call) !== undefined,
      });
    };
  }

  /** Counts the calls of every connection of `server` as they come. Without it they are counted when gRPC has begun them. */
  guard(server: Server): void {
    const { limits, turns, traffic, reading } = this.#options;
    const arrivals = new Arrivals({
      limits,
      turns,
      traffic,
      reading,
      mayCall: (address) => this.#mayCall(address),
      refused: (path, address) => this.#note('rate', path, `address ${address}`),
      flooded: (address) => this.#strike(address, Math.ceil(limits.refusalsPerClient / floodsPerClient)),
    });
    this.#guarded = arrivals.guard(server);
  }

  close(): void {
    this.#addresses.close();
    this.#clients.close();
  }

  #limitAddress(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const { limits } = this.#options;
    const address = addressOf(call);
    const refuse = this.#refusing(path, call, () => `address ${address}`);
    this.#watchEnd(path, call, address);
    assembleAsItComes(call, limits.messageBytes);
    pace(call, this.#addresses.of(address).bytes);
    const refused = !this.#guarded && !this.#mayCall(address);
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

  /** gRPC refuses too large a message itself, below all interceptors: only the call that the first one is given knows of every end. */
  #watchEnd(path: string, call: ServerInterceptingCallInterface, address: string): void {
    const sendStatus = call.sendStatus.bind(call);
    call.sendStatus = (answer) => {
      const tooLarge = answer.code === status.RESOURCE_EXHAUSTED && /^Received message .*larger than/.test(answer.details);
      if (tooLarge) this.#note('size', path, `address ${address}`);
      sendStatus(tooLarge ? { ...answer, details: `${answer.details} (limit messageBytes)` } : answer);
      // Otherwise the rest of the message would still be sent, and read.
      if (tooLarge) streamOf(call)?.close();
      // Tokens are not to be found by trying.
      if (answer.code === status.UNAUTHENTICATED) this.#strike(address);
    };
  }

  #refusing(path: string, call: ServerInterceptingCallInterface, key: () => string): Refuse {
    return (limit, details, code = status.RESOURCE_EXHAUSTED) => {
      this.#note(limit, path, key());
      if (limit === 'concurrency') this.#strike(addressOf(call));
      call.sendStatus({ code, details });
    };
  }

  #mayCall(address: string): boolean {
    const allowed = this.#addresses.of(address).rate.take();
    if (!allowed) this.#strike(address);
    return allowed;
  }

  #strike(address: string, count = 1): void {
    const { refusals } = this.#addresses.of(address);
    if (refusals.waitMs === 0) refusals.charge(count);
    else this.#options.shutOut(address);
  }

  #note(limit: CallLimit, method: string, client: string): void {
    this.#options.observer.callRefused(method, limit);
    this.#log.warn(limit, 'a call is refused: a limit is reached', { limit, method, client });
  }
}

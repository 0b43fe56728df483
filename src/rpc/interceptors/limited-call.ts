/** A call that stays within what its client may have under way. */
import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerListener, status } from '@grpc/grpc-js';
import type { EndpointLimits } from '../endpoint-limits.js';
import type { CallLimit } from '../endpoint-observer.js';
import type { ClientCalls } from './client-calls.js';
import { MessageParts } from '../message-parts.js';
import { Encoded, encoded } from './outgoing.js';
import { rateText } from './rate-text.js';

/** How a call is ended for a limit; RESOURCE_EXHAUSTED unless told otherwise. */
export type Refuse = (limit: CallLimit, details: string, code?: status) => void;

export interface LimitedCallOptions {
  readonly method: { readonly requestStream: boolean; readonly responseSerialize: (reply: unknown) => Buffer };
  readonly limits: EndpointLimits;
  readonly refuse: Refuse;
  /** Calls its argument when it is the client's turn. */
  readonly begin: (start: () => void) => void;
  /** Asked when the client is known: once every interceptor before has let the metadata pass. */
  readonly client: () => ClientCalls;
  /** Authenticated clients have a rate of their own; those without a name were measured by their address already. */
  readonly authenticated: () => boolean;
}

const nothing = (): void => undefined;

/** Smaller replies are cheaper to copy than to write in parts. Bytes. */
const worthPartsBytes = 32 * 1024;

/** A large reply is not copied once more, which would hold everybody up, and be kept for as long as the client does not read. */
function inParts(reply: Encoded): Encoded {
  const { bytes } = reply;
  return bytes instanceof MessageParts || bytes.byteLength < worthPartsBytes ? reply : new Encoded(new MessageParts([bytes]));
}

export class LimitedCall extends ServerInterceptingCall {
  readonly #options: LimitedCallOptions;
  /** Set from admission to the end. */
  #client: ClientCalls | undefined;
  #readBegan = false;
  #holdsPlace = false;
  #bytesOnTheWay = 0;
  #lateTimer: NodeJS.Timeout | undefined;
  #dontReceive = nothing;
  #dontSend = nothing;

  constructor(call: ServerInterceptingCallInterface, options: LimitedCallOptions) {
    const listener: ServerListener = {};
    super(call, { start: (next) => next(listener) });
    this.#options = options;
    listener.onReceiveMetadata = (metadata, pass) => {
      if (this.#admit()) pass(metadata);
    };
    listener.onReceiveMessage = (message, pass) => {
      this.#leavePlace();
      pass(message);
    };
    listener.onReceiveHalfClose = (pass) => {
      clearTimeout(this.#lateTimer);
      this.#leavePlace();
      this.#whenReady(pass);
    };
    listener.onCancel = () => this.#end();
  }

  override startRead(): void {
    const client = this.#client;
    if (client === undefined || this.#options.method.requestStream || this.#readBegan) {
      super.startRead();
      return;
    }
    this.#readBegan = true;
    this.#dontReceive = client.receiving.enter(() => {
      const { receiveTimeoutMs } = this.#options.limits;
      this.#holdsPlace = true;
      this.#lateTimer = setTimeout(() => this.#late(), receiveTimeoutMs);
      super.startRead();
      return 1;
    });
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- gRPC's own signature
  override sendMessage(message: any, callback: () => void): void {
    const client = this.#client;
    if (client === undefined) {
      super.sendMessage(message, callback);
      return;
    }
    this.#dontSend = client.sending.enter(() => {
      const reply = encoded(this.#options.method.responseSerialize, message);
      if (reply === undefined) {
        super.sendMessage(message, callback);
        return 0;
      }
      const size = reply.bytes.byteLength;
      this.#bytesOnTheWay += size;
      super.sendMessage(inParts(reply), () => {
        this.#arrived(size);
        callback();
      });
      return size;
    });
  }

  override sendStatus(answer: Parameters<ServerInterceptingCall['sendStatus']>[0]): void {
    this.#dontSend();
    super.sendStatus(answer);
  }

  #admit(): boolean {
    const { limits, refuse, method } = this.#options;
    const client = this.#options.client();
    if (this.#options.authenticated() && !client.rate.take()) {
      refuse('rate', rateText(limits));
      return false;
    }
    if (client.running >= limits.callsPerClient) {
      refuse('concurrency', `${limits.callsPerClient} calls of this client are under way (limit callsPerClient); try again later`);
      return false;
    }
    // Messages come on them at any time, so each may hold a large one at any time.
    if (method.requestStream && client.requestStreams >= limits.receivingPerClient) {
      const text = `${limits.receivingPerClient} request streams of this client are open (limit receivingPerClient); try again later`;
      refuse('concurrency', text);
      return false;
    }
    client.running += 1;
    if (method.requestStream) client.requestStreams += 1;
    this.#client = client;
    return true;
  }

  /** Lets a call with its one request begin in its turn, and not while replies wait that the client does not read. */
  #whenReady(begin: () => void): void {
    const client = this.#client;
    if (client === undefined || this.#options.method.requestStream) {
      begin();
      return;
    }
    this.#options.begin(() => {
      if (this.#client === undefined) return;
      this.#dontSend = client.sending.enter(() => {
        begin();
        return 0;
      });
    });
  }

  #late(): void {
    const { limits, refuse } = this.#options;
    const text = `the request did not arrive within ${limits.receiveTimeoutMs} ms (limit receiveTimeoutMs)`;
    refuse('receive_timeout', text, status.DEADLINE_EXCEEDED);
  }

  #leavePlace(): void {
    if (!this.#holdsPlace) return;
    this.#holdsPlace = false;
    this.#client?.receiving.leave(1);
  }

  #arrived(size: number): void {
    // After the end everything was given back at once.
    if (this.#bytesOnTheWay < size) return;
    this.#bytesOnTheWay -= size;
    this.#client?.sending.leave(size);
  }

  #end(): void {
    const client = this.#client;
    if (client === undefined) return;
    clearTimeout(this.#lateTimer);
    this.#dontReceive();
    this.#dontSend();
    this.#leavePlace();
    const bytes = this.#bytesOnTheWay;
    this.#bytesOnTheWay = 0;
    client.sending.leave(bytes);
    client.running -= 1;
    if (this.#options.method.requestStream) client.requestStreams -= 1;
    this.#client = undefined;
  }
}

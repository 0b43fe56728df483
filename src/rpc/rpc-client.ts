/** Calls of one gRPC channel, with deadlines, abort signals and our errors. */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { WeightcastError } from '../errors.js';
import { type Address, formatAddress } from './address.js';
import { channelOptions } from './limits.js';

/** What a call needs of a generated service definition. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface CallContext {
  /** Begins the message of an error: "cannot publish metadata". */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
}

export interface RpcClientOptions {
  readonly address: Address;
  /** Deadline of a unary call; of a stream, the longest wait for one message. Milliseconds. */
  readonly timeoutMs: number;
  /** Turns what gRPC rejects with into an error of ours. */
  readonly translate: (error: unknown, doing: string) => WeightcastError;
}

/** Connects at the first call. No call waits for a connection that has failed. */
export class RpcClient {
  readonly #client: Client;
  readonly #options: RpcClientOptions;
  #closed = false;

  constructor(options: RpcClientOptions) {
    this.#options = options;
    this.#client = new Client(`dns:${formatAddress(options.address)}`, credentials.createInsecure(), channelOptions);
  }

  /** Rejects with ERR_ABORTED, ERR_CLOSED, or what `translate` makes of the failure. */
  async unary<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response> {
    const { doing, signal } = context;
    this.#throwIfOver(context);
    const { path, requestSerialize, responseDeserialize } = method;
    const deadline = Date.now() + this.#options.timeoutMs;
    let cancel: (() => void) | undefined;
    try {
      return await new Promise<Response>((done, failed) => {
        const answer = (error: Error | null, response?: Response): void => {
          if (error === null) done(response as Response);
          else failed(error);
        };
        const call = this.#client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new Metadata(),
          { deadline },
          answer,
        );
        cancel = () => {
          call.cancel();
        };
        signal?.addEventListener('abort', cancel, { once: true });
      });
    } catch (error) {
      throw this.#failure(error, doing, signal);
    } finally {
      if (cancel !== undefined) signal?.removeEventListener('abort', cancel);
    }
  }

  /** The messages of a streaming call. Leaving the loop early cancels the call. Throws as {@link unary} rejects. */
  async *serverStream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    context: CallContext,
  ): AsyncGenerator<Response> {
    const { doing, signal } = context;
    this.#throwIfOver(context);
    const call = this.#client.makeServerStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, request);
    // A cancelled call reports itself once more after nobody listens any longer.
    call.on('error', () => undefined);
    const cancel = (): void => {
      call.cancel();
    };
    signal?.addEventListener('abort', cancel, { once: true });
    const stall = new AbortController();
    const watch = (): NodeJS.Timeout =>
      setTimeout(() => {
        stall.abort();
        call.cancel();
      }, this.#options.timeoutMs);
    let timer = watch();
    try {
      for await (const message of call) {
        clearTimeout(timer);
        yield message as Response;
        timer = watch();
      }
    } catch (error) {
      if (!stall.signal.aborted) throw this.#failure(error, doing, signal);
      const peer = formatAddress(this.#options.address);
      const text = `${doing}: nothing came from ${peer} for ${String(this.#options.timeoutMs)} ms`;
      throw new WeightcastError('ERR_STALLED', text, { cause: error, peer });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  /** Idempotent. Calls under way are not waited for. */
  close(): void {
    this.#closed = true;
    this.#client.close();
  }

  #throwIfOver({ doing, signal }: CallContext): void {
    if (this.#closed) throw new WeightcastError('ERR_CLOSED', `${doing}: the client is closed`, this.#where());
    if (signal?.aborted === true) throw this.#failure(undefined, doing, signal);
  }

  #failure(error: unknown, doing: string, signal: AbortSignal | undefined): WeightcastError {
    if (signal?.aborted === true)
      return new WeightcastError('ERR_ABORTED', `${doing}: aborted`, { cause: signal.reason, ...this.#where() });
    if (this.#closed) return new WeightcastError('ERR_CLOSED', `${doing}: the client was closed`, { cause: error, ...this.#where() });
    return this.#options.translate(error, doing);
  }

  #where(): { peer: string } {
    return { peer: formatAddress(this.#options.address) };
  }
}

/** Calls of one gRPC channel, with deadlines, abort signals, bearer tokens and our errors. */
import { type Client, Metadata } from '@grpc/grpc-js';
import { WeightcastError } from '../errors.js';
import { type Logger, silentLogger } from '../observe/logger.js';
import { ClientTls } from '../security/client-tls.js';
import type { ClientSecurity } from '../security/tls-files.js';
import { TokenFile } from '../security/token-file.js';
import { type Address, formatAddress } from './address.js';
import { Channel } from './channel.js';
import { Diagnosis } from './diagnosis.js';

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
  /** With `tls` TLS is spoken; with `tokenFile` every call carries the token. Default: clear text, no token. */
  readonly security?: ClientSecurity | undefined;
  /** Hears of a token file that cannot be used. Default: nobody. */
  readonly logger?: Logger | undefined;
  /** Turns what gRPC rejects with into an error of ours. */
  readonly translate: (error: unknown, doing: string) => WeightcastError;
}

/** Connects at the first call. No call waits for a connection that has failed. */
export class RpcClient {
  readonly #channel: Channel;
  readonly #token: TokenFile | undefined;
  readonly #diagnosis: Diagnosis;
  readonly #options: RpcClientOptions;
  #closed = false;

  /** @throws ERR_TLS that names the file, when one of `security.tls` cannot be used. */
  constructor(options: RpcClientOptions) {
    this.#options = options;
    const { address, security = {}, logger = silentLogger } = options;
    const tls = security.tls === undefined ? undefined : new ClientTls(security.tls, address.host);
    this.#channel = new Channel(address, tls);
    this.#diagnosis = new Diagnosis(address, tls);
    this.#token = security.tokenFile === undefined ? undefined : new TokenFile(security.tokenFile, { ttlMs: security.tokenTtlMs, logger });
  }

  /** Rejects with ERR_ABORTED, ERR_CLOSED, ERR_TLS, or what `translate` makes of the failure. */
  async unary<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext): Promise<Response> {
    const { doing, signal } = context;
    const deadline = Date.now() + this.#options.timeoutMs;
    this.#throwIfOver(context);
    const metadata = await this.#metadata();
    this.#throwIfOver(context);
    const { path, requestSerialize, responseDeserialize } = method;
    const { client, release } = this.#channel.lease();
    let cancel: (() => void) | undefined;
    try {
      return await new Promise<Response>((done, failed) => {
        const answer = (error: Error | null, response?: Response): void => {
          if (error === null) done(response as Response);
          else failed(error);
        };
        const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, { deadline }, answer);
        cancel = () => {
          call.cancel();
        };
        signal?.addEventListener('abort', cancel, { once: true });
      });
    } catch (error) {
      throw await this.#failure(error, doing, signal);
    } finally {
      release();
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
    const metadata = await this.#metadata();
    this.#throwIfOver(context);
    const { client, release } = this.#channel.lease();
    const call = startStream(client, method, request, metadata);
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
      if (!stall.signal.aborted) throw await this.#failure(error, doing, signal);
      const peer = formatAddress(this.#options.address);
      const text = `${doing}: nothing came from ${peer} for ${String(this.#options.timeoutMs)} ms`;
      throw new WeightcastError('ERR_STALLED', text, { cause: error, peer });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      call.cancel();
      release();
    }
  }

  /** Idempotent. Calls under way are not waited for. */
  close(): void {
    this.#closed = true;
    this.#channel.close();
  }

  /** What every call carries. */
  async #metadata(): Promise<Metadata> {
    const metadata = new Metadata();
    const token = await this.#token?.get();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    return metadata;
  }

  #throwIfOver({ doing, signal }: CallContext): void {
    const over = this.#ending(undefined, doing, signal);
    if (over !== undefined) throw over;
  }

  async #failure(error: unknown, doing: string, signal: AbortSignal | undefined): Promise<WeightcastError> {
    const ended = this.#ending(error, doing, signal);
    if (ended !== undefined) return ended;
    const reason = await this.#diagnosis.of(error);
    if (reason === undefined) return this.#options.translate(error, doing);
    const { peer } = this.#where();
    return this.#ending(error, doing, signal) ?? new WeightcastError('ERR_TLS', `${doing}: ${reason}`, { cause: error, peer });
  }

  /** Why a call is over that did not end by itself. */
  #ending(cause: unknown, doing: string, signal: AbortSignal | undefined): WeightcastError | undefined {
    if (signal?.aborted === true) {
      return new WeightcastError('ERR_ABORTED', `${doing}: aborted`, { cause: signal.reason, ...this.#where() });
    }
    if (!this.#closed) return undefined;
    return new WeightcastError('ERR_CLOSED', `${doing}: the client is closed`, { ...(cause !== undefined && { cause }), ...this.#where() });
  }

  #where(): { peer: string } {
    return { peer: formatAddress(this.#options.address) };
  }
}

function startStream<Request, Response>(client: Client, method: Method<Request, Response>, request: Request, metadata: Metadata) {
  return client.makeServerStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, request, metadata);
}

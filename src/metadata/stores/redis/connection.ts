/** One connection to Redis: bounded waits, reconnection, and errors that say what happened. */
import { setImmediate } from 'node:timers/promises';
import type * as Redis from '@redis/client';
import { WeightcastError } from '../../../errors.js';
import type { Logger } from '../../../observe/logger.js';
import type { Script } from './scripts.js';
import { maskUrl } from './url.js';

type RedisModule = typeof Redis;
type Client = ReturnType<RedisModule['createClient']>;
type TypeMapping = Redis.TypeMapping;

export interface ConnectionOptions {
  readonly redis: RedisModule;
  readonly url: string;
  /** How Redis' own list of clients calls this connection. */
  readonly name: string;
  /** Longest wait for a reply, and a second more for each 16 MiB that are sent or expected. Milliseconds. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  /** When given, Redis tells which of the keys that were read here have changed; `undefined`: any may have. */
  readonly onInvalidate?: (key: string | undefined) => void;
}

export type Argument = string | Buffer;

const bytesASecond = 16 * 1024 * 1024;

/** Longest wait for a new connection to be ready for commands, once it stands. */
const handshakeMs = 5000;

/**
 * Commands never wait for a connection: while there is none they reject at once. One that was sent and not answered rejects too,
 * although Redis may have run it. A connection on which a reply does not come in time is given up for a new one.
 */
export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #asBytes: TypeMapping;
  #client: Client;
  #handshake: NodeJS.Timeout | undefined;
  /** Why there is no connection. */
  #reason = 'not connected yet';
  #state: 'opening' | 'up' | 'lost' | 'closed' = 'opening';

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#asBytes = { [options.redis.RESP_TYPES.BLOB_STRING]: Buffer };
    this.#client = this.#create();
  }

  /**
   * @param limitMs how long to try.
   * @throws ERR_STORE when that is over, or at once when Redis refuses the connection's user.
   */
  static async open(options: ConnectionOptions, limitMs: number): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`${connection.#reason}; gave up after ${String(limitMs / 1000)} s`));
      }, limitMs);
    });
    try {
      await Promise.race([connection.#client.connect(), tooLate]);
      return connection;
    } catch (error) {
      await connection.close();
      throw new WeightcastError('ERR_STORE', `cannot connect to Redis at ${maskUrl(options.url)}: ${reasonOf(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends one command. Replies are text, with `bytes` buffers. `expectedBytes`: about the length of the reply, where it may be large. */
  send(args: readonly Argument[], options: { readonly bytes?: boolean; readonly expectedBytes?: number } = {}): Promise<unknown> {
    const typeMapping = options.bytes === true ? { typeMapping: this.#asBytes } : {};
    const bytes = lengthOf(args) + (options.expectedBytes ?? 0);
    return this.#bounded(bytes, (client) => client.sendCommand([...args], typeMapping));
  }

  /** Runs a script, which Redis keeps once it has seen it. */
  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.send(['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      if (!(error instanceof WeightcastError) || !reasonOf(error.cause).startsWith('NOSCRIPT')) throw error;
      return this.send(['EVAL', script.text, ...rest]);
    }
  }

  /** Runs commands as one transaction: all or none. */
  async transaction(commands: readonly (readonly Argument[])[]): Promise<void> {
    await this.#bounded(lengthOf(commands.flat()), (client) => {
      const multi = client.multi();
      for (const command of commands) multi.addCommand([...command]);
      return multi.exec();
    });
  }

  /** Lets commands that are under way finish, for as long as replies may take; then ends the connection. Idempotent; never rejects. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const wasUp = this.#state === 'up';
    this.#state = 'closed';
    clearTimeout(this.#handshake);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise((done) => {
      timer = setTimeout(done, this.#options.timeoutMs);
    });
    if (wasUp) await Promise.race([this.#client.close(), limit]).catch(() => undefined);
    clearTimeout(timer);
    this.#client.destroy();
  }

  async #bounded<T>(bytes: number, run: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client;
    if (this.#state === 'closed') throw new WeightcastError('ERR_STORE', 'the connection to Redis is closed');
    if (!client.isReady) throw new WeightcastError('ERR_STORE', `Redis cannot be reached: ${this.#reason}`);
    const limitMs = this.#options.timeoutMs + Math.ceil((bytes / bytesASecond) * 1000);
    let settled = false;
    const watch = setTimeout(() => void this.#expire(client, () => settled, limitMs), limitMs);
    try {
      return await run(client);
    } catch (error) {
      throw this.#explain(error);
    } finally {
      settled = true;
      clearTimeout(watch);
    }
  }

  /** After a long pause of this process the reply may be there already and only not read yet. */
  async #expire(client: Client, settled: () => boolean, limitMs: number): Promise<void> {
    await setImmediate();
    await setImmediate();
    if (!settled() && client === this.#client) this.#replace(`no answer within ${String(limitMs)} ms`);
  }

  #explain(error: unknown): WeightcastError {
    const { ErrorReply } = this.#options.redis;
    const reason = reasonOf(error);
    if (!(error instanceof ErrorReply)) {
      const text = `Redis did not answer, and may or may not have done what it was told: ${this.#client.isReady ? reason : this.#reason}`;
      return new WeightcastError('ERR_STORE', text, { cause: error });
    }
    // The server behind the address is a replica by now; its successor may be found by connecting again.
    if (reason.startsWith('READONLY')) this.#replace(reason);
    return new WeightcastError('ERR_STORE', `Redis refused: ${reason}`, { cause: error });
  }

  #create(): Client {
    const { redis, url, name, onInvalidate } = this.#options;
    const client = redis.createClient({
      url,
      name,
      RESP: 3,
      maintNotifications: 'disabled',
      disableOfflineQueue: true,
      emitInvalidate: onInvalidate !== undefined,
      // Maps of the protocol as flat arrays: objects would reorder fields and lose some.
      commandOptions: { typeMapping: { [redis.RESP_TYPES.MAP]: Array } },
      socket: { reconnectStrategy: (attempts, cause) => this.#pauseMs(attempts, cause) },
    }) as unknown as Client;
    client.on('error', (error: unknown) => {
      if (client === this.#client) this.#loses(reasonOf(error));
    });
    client.on('connect', () => {
      clearTimeout(this.#handshake);
      this.#handshake = setTimeout(() => {
        if (client === this.#client) this.#replace(`connected, but not ready within ${String(handshakeMs)} ms`);
      }, handshakeMs);
    });
    client.on('ready', () => {
      clearTimeout(this.#handshake);
      if (client === this.#client) this.#isUp();
    });
    client.on('invalidate', (key: Buffer | string | null) => onInvalidate?.(key?.toString()));
    return client;
  }

  /** `false` ends the attempts: what is wrong with the configuration stays wrong, and is said while the process starts. */
  #pauseMs(attempts: number, cause: Error): number | false {
    const { ErrorReply } = this.#options.redis;
    const isRefused = cause instanceof ErrorReply && !cause.message.startsWith('LOADING');
    if (this.#state === 'opening' && (isRefused || isDistrust(cause))) return false;
    return Math.min(2000, 50 * 2 ** Math.min(attempts, 10)) * (0.75 + Math.random() / 2);
  }

  #replace(reason: string): void {
    if (this.#state === 'closed') return;
    const opening = this.#state === 'opening';
    this.#loses(reason);
    this.#client.destroy();
    if (opening) return;
    this.#client = this.#create();
    this.#client.connect().catch(() => undefined);
  }

  #loses(reason: string): void {
    this.#reason = reason;
    this.#options.onInvalidate?.(undefined);
    if (this.#state !== 'up') return;
    this.#state = 'lost';
    this.#options.logger.warn('the connection to Redis is lost; trying again', { redis: maskUrl(this.#options.url), reason });
  }

  #isUp(): void {
    if (this.#state === 'lost') this.#options.logger.info('Redis answers again', { redis: maskUrl(this.#options.url) });
    if (this.#state !== 'closed') this.#state = 'up';
    this.#options.onInvalidate?.(undefined);
  }
}

function lengthOf(args: readonly Argument[]): number {
  return args.reduce((sum, argument) => sum + argument.length, 0);
}

/** Whether a certificate is the reason. */
function isDistrust(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && /CERT|LEAF_SIGNATURE|ERR_SSL/.test(code);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

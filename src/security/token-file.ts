/** The bearer token that a client sends: a file, as Kubernetes mounts and rotates it. */
import { readFile, stat } from 'node:fs/promises';
import { type Logger, silentLogger } from '../observe/logger.js';

export interface TokenFileOptions {
  /** How long a token is used before its file is looked at again. Default 60 000. */
  readonly ttlMs?: number | undefined;
  readonly logger?: Logger | undefined;
  /** Milliseconds of a clock that never goes back; for tests. */
  readonly now?: () => number;
}

interface Cached {
  readonly token: string;
  readonly mtimeMs: number;
  readonly readAt: number;
}

/** What gRPC carries in a header. Anything else would make every call fail, with the token in the message. */
const printable = /^[\x20-\x7e]+$/;

export class TokenFile {
  readonly path: string;
  readonly #ttlMs: number;
  readonly #logger: Logger;
  readonly #now: () => number;
  #cached: Cached | undefined;
  #reading: Promise<string | undefined> | undefined;
  #warned = false;

  constructor(path: string, options: TokenFileOptions = {}) {
    this.path = path;
    this.#ttlMs = options.ttlMs ?? 60_000;
    this.#logger = options.logger ?? silentLogger;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * The token without white space around it. It is kept for the TTL; then the file is read again if its time has
   * changed. Undefined when there is no such file, it cannot be read or holds no token: a server without authentication
   * takes calls as they are, so that is a warning, once until a token was read, and the next call looks again. Never rejects.
   */
  get(): Promise<string | undefined> {
    if (this.#cached !== undefined && this.#now() - this.#cached.readAt < this.#ttlMs) return Promise.resolve(this.#cached.token);
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string | undefined> {
    const readAt = this.#now();
    try {
      const { mtimeMs } = await stat(this.path);
      if (this.#cached?.mtimeMs === mtimeMs) {
        this.#cached = { ...this.#cached, readAt };
        return this.#cached.token;
      }
      const token = (await readFile(this.path, 'utf8')).trim();
      if (!printable.test(token)) throw new Error(token === '' ? 'it is empty' : 'it holds something else than one line of ASCII');
      this.#cached = { token, mtimeMs, readAt };
      this.#warned = false;
      return token;
    } catch (error) {
      this.#cached = undefined;
      if (!this.#warned) this.#logger.warn('no bearer token is sent: the token file cannot be used', { file: this.path, error });
      this.#warned = true;
      return undefined;
    }
  }
}

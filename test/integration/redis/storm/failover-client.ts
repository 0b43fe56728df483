/** A client of two servers that goes on with the other one when one fails, and counts what went wrong. */
import { WeightcastError } from '#src/errors.js';
import { MetadataClient } from '#src/metadata/client.js';

export class FailoverClient {
  /** Failed calls by error code. */
  readonly errors: Record<string, number> = {};
  /** Calls that succeeded. */
  succeeded = 0;
  /** Longest time from the first failure to the next success, in milliseconds. */
  longestOutageMs = 0;
  readonly #clients: MetadataClient[];
  #current: number;
  #failingSince: number | undefined;

  /** @param first index of the server that is asked first. */
  constructor(servers: readonly string[], first: number) {
    this.#clients = servers.map((server) => new MetadataClient(server, { timeoutMs: 10_000 }));
    this.#current = first % servers.length;
  }

  /** One attempt at one server; `undefined` when it failed in a way that may be tried again. Anything else is thrown. */
  async attempt<T>(call: (client: MetadataClient) => Promise<T>): Promise<{ readonly value: T } | undefined> {
    const client = this.#clients[this.#current % this.#clients.length];
    if (client === undefined) throw new Error('no server');
    const begin = performance.now();
    try {
      const value = await call(client);
      this.succeeded++;
      if (this.#failingSince !== undefined) this.longestOutageMs = Math.max(this.longestOutageMs, performance.now() - this.#failingSince);
      this.#failingSince = undefined;
      return { value };
    } catch (error) {
      const code = error instanceof WeightcastError ? error.code : String(error);
      this.errors[code] = (this.errors[code] ?? 0) + 1;
      if (code !== 'ERR_SERVER_UNREACHABLE') throw error;
      this.#failingSince ??= begin;
      this.#current++;
      return undefined;
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

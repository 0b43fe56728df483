/**
 * Whether what was read from a key is still what the key holds. Redis remembers the keys that a connection has read and says so before its
 * next reply there when one has changed, whoever changed it. So a cached value is current when, after any later reply on
 * that connection, its token is still the key's token.
 */
export class TrackedKeys {
  readonly #tokens = new Map<string, symbol>();

  /** To be called before the read is sent. Reads between two changes share a token. */
  token(key: string): symbol {
    let token = this.#tokens.get(key);
    if (token === undefined) {
      token = Symbol(key);
      this.#tokens.set(key, token);
    }
    return token;
  }

  isCurrent(key: string, token: symbol): boolean {
    return this.#tokens.get(key) === token;
  }

  /** What was read from this key, by default from all, is void. Also for keys that are no longer of interest. */
  forget(key?: string): void {
    if (key === undefined) this.#tokens.clear();
    else this.#tokens.delete(key);
  }
}

/** A map of a bounded size whose entries end. */
export class ExpiringMap<Value> {
  readonly #capacity: number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #entries = new Map<string, { readonly value: Value; readonly until: number }>();

  /** @param options.now milliseconds of a clock that never goes back. */
  constructor(options: { readonly capacity: number; readonly ttlMs: number; readonly now?: (() => number) | undefined }) {
    this.#capacity = options.capacity;
    this.#ttlMs = options.ttlMs;
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Undefined when it was never set, has ended, or had to make room. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#now() < entry.until) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** For the whole TTL from now. Makes room by dropping what was set first. */
  set(key: string, value: Value): void {
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#capacity) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, { value, until: this.#now() + this.#ttlMs });
  }
}

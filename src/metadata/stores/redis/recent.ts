/** A map that drops the entries which were not used for the longest time when their weights exceed a budget. */
export class Recent<Value> {
  readonly #entries = new Map<string, { readonly value: Value; readonly weight: number }>();
  readonly #budget: number;
  readonly #onDrop: ((key: string) => void) | undefined;
  #weight = 0;

  /** @param onDrop called for each entry that leaves, but not for one that is replaced. */
  constructor(budget: number, onDrop?: (key: string) => void) {
    this.#budget = budget;
    this.#onDrop = onDrop;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** The newest entry stays even when it alone exceeds the budget. */
  set(key: string, value: Value, weight: number): void {
    this.#weight += weight - (this.#entries.get(key)?.weight ?? 0);
    this.#entries.delete(key);
    this.#entries.set(key, { value, weight });
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#budget || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
    this.#onDrop?.(key);
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.delete(key);
  }
}

/** A number of places, and a queue before them. */

/** Places that are taken in the order of asking. */
export class Places {
  readonly #size: number;
  readonly #queue = new Set<() => number>();
  #taken = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get idle(): boolean {
    return this.#taken === 0 && this.#queue.size === 0;
  }

  /**
   * Calls `enter` once any place is free: now or later. It says how many it takes, which may be more than are free;
   * {@link leave} gives them back.
   *
   * @returns what takes the wish back; without effect after `enter` was called.
   */
  enter(enter: () => number): () => void {
    this.#queue.add(enter);
    this.#next();
    return () => void this.#queue.delete(enter);
  }

  leave(count: number): void {
    this.#taken -= count;
    this.#next();
  }

  #next(): void {
    for (const enter of this.#queue) {
      if (this.#taken >= this.#size) return;
      this.#queue.delete(enter);
      // It may leave before it returns, so what is taken is looked up afterwards.
      const count = enter();
      this.#taken += count;
    }
  }
}

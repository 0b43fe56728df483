/** What was opened, closed in reverse order, however its use ended. */
export class Scope {
  readonly #cleanups: (() => Promise<void> | void)[] = [];

  add(cleanup: () => Promise<void> | void): void {
    this.#cleanups.push(cleanup);
  }

  /** Never rejects. */
  async close(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).reverse()) {
      try {
        await cleanup();
      } catch {
        // The rest must be closed too, and the outcome of the work itself is what the caller asked for.
      }
    }
  }
}

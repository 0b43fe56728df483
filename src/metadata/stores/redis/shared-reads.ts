/**
 * Reads that many callers want at the same time. A read serves every caller that came before it began, and nobody who came later: so
 * each caller sees what was written before its call, and of each key there is one read at a time, and one that waits.
 */
export class SharedReads<Value> {
  readonly #running = new Map<string, Promise<Value>>();
  readonly #waiting = new Map<string, Promise<Value>>();

  read(key: string, run: () => Promise<Value>): Promise<Value> {
    const running = this.#running.get(key);
    if (running === undefined) return this.#start(key, run);
    let waiting = this.#waiting.get(key);
    if (waiting === undefined) {
      const next = (): Promise<Value> => {
        this.#waiting.delete(key);
        return this.#start(key, run);
      };
      waiting = running.then(next, next);
      this.#waiting.set(key, waiting);
    }
    return waiting;
  }

  #start(key: string, run: () => Promise<Value>): Promise<Value> {
    const read = run().finally(() => {
      // The one that waits takes over; until then nobody else may begin.
      if (!this.#waiting.has(key)) this.#running.delete(key);
    });
    this.#running.set(key, read);
    return read;
  }
}

/** Who is served next when all cannot be served at once. */

/** How long the event loop may be held by calls of one turn. Milliseconds. */
const turnMs = 2;

/**
 * Starts calls at once while there is little to do. When more come than a short turn takes, every client has a queue of its
 * own, each turn takes one call of each client after the other, and the event loop reads and writes between turns: a client
 * with a thousand calls delays another's first call by one turn, not by a thousand calls.
 */
export class Turns<Client extends object> {
  readonly #clock: () => number;
  readonly #queues = new Map<Client, (() => void)[]>();
  #spentMs = 0;
  #scheduled = false;

  /** @param clock milliseconds; default `performance.now`. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** Calls `start` now or in a later turn. It should see by itself whether it came too late. */
  take(client: Client, start: () => void): void {
    if (this.#queues.size === 0 && this.#spentMs < turnMs) {
      this.#run(start);
    } else {
      const queue = this.#queues.get(client);
      if (queue === undefined) this.#queues.set(client, [start]);
      else queue.push(start);
    }
    this.#schedule();
  }

  #run(start: () => void): void {
    const began = this.#clock();
    start();
    this.#spentMs += this.#clock() - began;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    this.#spentMs = 0;
    while (this.#queues.size > 0 && this.#spentMs < turnMs) {
      const [client, queue] = this.#queues.entries().next().value as [Client, (() => void)[]];
      // To the end of the line, or out of it.
      this.#queues.delete(client);
      const start = queue.shift();
      if (queue.length > 0) this.#queues.set(client, queue);
      if (start !== undefined) this.#run(start);
    }
    if (this.#queues.size > 0) this.#schedule();
  }
}

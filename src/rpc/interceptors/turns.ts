/** Who is served next when all cannot be served at once. */

/** How long one turn may hold the event loop. Milliseconds. */
const turnMs = 0.5;
/** What a client may use of a turn without waiting, though others wait, while all who do so use no more than a turn. Milliseconds. */
const shareMs = 0.2;

/**
 * Starts work at once while there is little to do. When more comes than a short turn takes, every client has a queue of its
 * own, each turn takes one piece of each client after the other, and the event loop reads and writes between turns: a client
 * with a thousand calls delays another's call by one turn, not by a thousand calls. Who has used little of a turn does not even
 * wait for the next.
 */
export class Turns<Client = string> {
  readonly #clock: () => number;
  readonly #queues = new Map<Client, (() => void)[]>();
  /** Milliseconds of this turn that each has used, and all together. */
  readonly #used = new Map<Client, number>();
  #spentMs = 0;
  #scheduled = false;
  #number = 0;

  /** @param clock milliseconds; default `performance.now`. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** Of the turn that is running: what has the same number came without a pause. Turns in which nothing came have none. */
  get number(): number {
    return this.#number;
  }

  /** Calls `start` now or in a later turn. It should see by itself whether it came too late. */
  take(client: Client, start: () => void): void {
    if (this.#mayStart(client)) {
      this.#run(client, start);
    } else {
      const queue = this.#queues.get(client);
      if (queue === undefined) this.#queues.set(client, [start]);
      else queue.push(start);
    }
    this.#schedule();
  }

  /** Whether work of this client waits. */
  waits(client: Client): boolean {
    return this.#queues.has(client);
  }

  #mayStart(client: Client): boolean {
    if (this.#queues.size === 0 && this.#spentMs < turnMs) return true;
    return !this.#queues.has(client) && (this.#used.get(client) ?? 0) < shareMs && this.#spentMs < 2 * turnMs;
  }

  #run(client: Client, start: () => void): void {
    const began = this.#clock();
    start();
    const ms = this.#clock() - began;
    this.#spentMs += ms;
    this.#used.set(client, (this.#used.get(client) ?? 0) + ms);
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
    this.#used.clear();
    this.#number += 1;
    while (this.#queues.size > 0 && this.#spentMs < turnMs) {
      const [client, queue] = this.#queues.entries().next().value as [Client, (() => void)[]];
      // To the end of the line, or out of it.
      this.#queues.delete(client);
      const start = queue.shift();
      if (queue.length > 0) this.#queues.set(client, queue);
      if (start !== undefined) this.#run(client, start);
    }
    if (this.#queues.size > 0) this.#schedule();
  }
}

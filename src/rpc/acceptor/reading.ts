/** Which of a client's connections are read when they bring many calls at once. */
import type { Tap } from './tap.js';

/** Calls of one address that may begin between two looks of the event loop before its other connections wait. */
const callsAtOnce = 16;
/** Pause before a connection that still writes is tried again. Milliseconds. */
const retryMs = 10;

interface Client {
  /** Connections that are served. */
  readonly taps: Set<Tap>;
  /** Those that are not read now, and those that are not served yet; the first comes next. */
  readonly waiting: Set<Pick<Tap, 'open'>>;
  /** Calls that began since the last look. */
  begun: number;
  /** A connection was opened since the last look: what it has brought already comes before the next one. */
  opened: boolean;
}

export interface ReadingOptions {
  /** Whether calls of this address still wait for their turn. */
  readonly busy: (address: string) => boolean;
}

/**
 * Every HTTP/2 stream costs the event loop some 20 µs before anybody can say that it has to wait, and a connection may bring a
 * hundred in one piece. All connections of all clients that have something to say are read in one go, so an address with many
 * of them would hold everybody up. While its calls come by the dozen its connections are therefore read one after the
 * other, and none while its calls wait for their turn: the rest waits in the kernel, where TCP holds the sender back.
 */
export class Reading {
  readonly #busy: (address: string) => boolean;
  readonly #clients = new Map<string, Client>();
  /** Those of which something happened since the last look, or a connection waits. */
  readonly #active = new Set<string>();
  #scheduled = false;

  constructor({ busy }: ReadingOptions) {
    this.#busy = busy;
  }

  /** Calls `serve` now or later, for a connection whose first calls may have come already. */
  enter(address: string, serve: () => void): void {
    const client = this.#of(address);
    this.#wake(address);
    client.waiting.add({ open: () => (serve(), true) });
    if (client.waiting.size === 1 && !client.opened) client.opened = this.#openNext(address, client);
  }

  /**
   * For a connection that is served from now on.
   *
   * @returns what removes it again.
   */
  add(address: string, tap: Tap): () => void {
    const { taps, waiting } = this.#of(address);
    taps.add(tap);
    return () => {
      taps.delete(tap);
      waiting.delete(tap);
      if (taps.size + waiting.size === 0) this.#clients.delete(address);
    };
  }

  /** A call began. */
  began(address: string): void {
    const client = this.#of(address);
    this.#wake(address);
    client.begun += 1;
    if (client.begun !== callsAtOnce) return;
    for (const tap of client.taps) {
      if (client.waiting.has(tap)) continue;
      tap.close();
      client.waiting.add(tap);
    }
  }

  #of(address: string): Client {
    let client = this.#clients.get(address);
    if (client === undefined) this.#clients.set(address, (client = { taps: new Set(), waiting: new Set(), begun: 0, opened: false }));
    return client;
  }

  #wake(address: string): void {
    this.#active.add(address);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#look();
    });
  }

  #look(): void {
    for (const address of [...this.#active]) {
      this.#active.delete(address);
      const client = this.#clients.get(address);
      if (client === undefined) continue;
      client.begun = 0;
      client.opened = !this.#busy(address) && this.#openNext(address, client);
      if (client.waiting.size > 0 || client.opened) this.#wake(address);
      else if (client.taps.size === 0) this.#clients.delete(address);
    }
  }

  /** @returns whether there was one. */
  #openNext(address: string, client: Client): boolean {
    const [next] = client.waiting;
    if (next === undefined) return false;
    client.waiting.delete(next);
    if (!next.open()) this.#tryLater(address, client, next as Tap);
    return true;
  }

  /** It goes to the end of the line, but not at once: nothing can be done for it until its peer reads. */
  #tryLater(address: string, client: Client, tap: Tap): void {
    setTimeout(() => {
      if (!client.taps.has(tap)) return;
      client.waiting.add(tap);
      this.#wake(address);
    }, retryMs);
  }
}

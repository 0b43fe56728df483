/** Which connections the calls come on, and which connections talk without calling. */
import type { ConnectionInfo } from '../interceptors/client-key.js';

/** What is needed of a socket. */
export interface Talker {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly bytesRead: number;
}

/** What to do when a connection is found to flood, and how it does. */
export type Flooding = (how: string) => void;

interface Seen {
  readonly talker: Talker;
  readonly flooding: Flooding;
  calls: number;
  running: number;
  callsAtLastLook: number;
  bytesAtLastLook: number;
  /** Looks in a row at which it had talked a lot without calling. */
  strikes: number;
}

/** Pause between two looks. Milliseconds. */
const lookMs = 1000;
/** Bytes between two looks that pings, settings and the ends of refused messages explain. */
const explained = 32 * 1024;
const strikesToFlood = 2;

/**
 * HTTP/2 has many frames that cost the peer work and are no calls, and ignores a peer that broke its rules for as long as that
 * one goes on sending. Whoever sends much more than silence needs, and has no call, is closed.
 */
export class Traffic {
  readonly #seen = new Map<string, Seen>();
  readonly #timer = setInterval(() => this.look(), lookMs).unref();

  /**
   * @param flooding what to do when the connection is found to flood.
   * @returns what removes it again.
   */
  add(talker: Talker, flooding: Flooding): () => void {
    // Kept: a socket that is closed no longer knows its address.
    const key = keyOf(talker);
    const seen = { talker, flooding, calls: 0, running: 0, callsAtLastLook: 0, bytesAtLastLook: talker.bytesRead, strikes: 0 };
    this.#seen.set(key, seen);
    return () => void this.#seen.delete(key);
  }

  /** @returns what to call at the call's end. */
  callBegan(connection: ConnectionInfo): () => void {
    const seen = this.#seen.get(keyOf(connection));
    if (seen === undefined) return () => undefined;
    seen.calls += 1;
    seen.running += 1;
    return () => void (seen.running -= 1);
  }

  /** Somebody else found out that this connection floods. */
  flood(connection: ConnectionInfo): void {
    this.#seen.get(keyOf(connection))?.flooding('it begins more calls at once than it may have open');
  }

  look(): void {
    for (const seen of this.#seen.values()) {
      const bytes = seen.talker.bytesRead;
      const silent = seen.running > 0 || seen.calls !== seen.callsAtLastLook || bytes - seen.bytesAtLastLook <= explained;
      seen.strikes = silent ? 0 : seen.strikes + 1;
      seen.callsAtLastLook = seen.calls;
      seen.bytesAtLastLook = bytes;
      if (seen.strikes >= strikesToFlood) seen.flooding('it sends much and calls nothing');
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function keyOf({ remoteAddress, remotePort }: ConnectionInfo | Talker): string {
  return `${String(remoteAddress)}|${String(remotePort)}`;
}

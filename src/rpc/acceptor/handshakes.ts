/** How many TLS handshakes of one address are under way. */
import type { Socket } from 'node:net';
import { type ClientState, PerClient } from '../per-client.js';
import { Places } from '../places.js';

/**
 * A handshake takes a millisecond and more of the event loop, half of it when the peer's last words come, which nobody can put
 * off. Two that overlap hide the time that the peers take, and more only come in heaps.
 */
const atOnce = 2;

class Client implements ClientState {
  readonly places = new Places(atOnce);

  get idle(): boolean {
    return this.places.idle;
  }
}

/** Lets an address begin a handshake when an earlier one of it is over; what waits is no more than its open connections. */
export class Handshakes {
  readonly #clients = new PerClient(() => new Client());

  /**
   * Calls `begin` now or later, unless the connection is closed by then.
   *
   * @param begin is given what to call when the handshake is over, however it ended; the end of the connection does so, too.
   */
  enter(address: string, raw: Socket, begin: (over: () => void) => void): void {
    const { places } = this.#clients.of(address);
    let holds = false;
    const over = (): void => {
      if (!holds) return;
      holds = false;
      places.leave(1);
    };
    const dontBegin = places.enter(() => {
      holds = true;
      begin(over);
      return 1;
    });
    raw.once('close', () => {
      dontBegin();
      over();
    });
  }

  close(): void {
    this.#clients.close();
  }
}

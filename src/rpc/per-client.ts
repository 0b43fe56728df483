/** State that is kept for each client while it says something. */

export interface ClientState {
  /** Nothing is lost when this is forgotten. */
  readonly idle: boolean;
}

/** Pause between two looks for state that can be forgotten. Milliseconds. */
const sweepMs = 10_000;

/** Made at first use, forgotten when idle, so that clients that come and go leave nothing behind. */
export class PerClient<State extends ClientState> {
  readonly #states = new Map<string, State>();
  readonly #create: () => State;
  readonly #timer: NodeJS.Timeout;

  constructor(create: () => State) {
    this.#create = create;
    this.#timer = setInterval(() => this.sweep(), sweepMs).unref();
  }

  /** Ask again instead of keeping it: what is idle is forgotten. */
  of(key: string): State {
    let state = this.#states.get(key);
    if (state === undefined) this.#states.set(key, (state = this.#create()));
    return state;
  }

  get size(): number {
    return this.#states.size;
  }

  sweep(): void {
    for (const [key, state] of this.#states) if (state.idle) this.#states.delete(key);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

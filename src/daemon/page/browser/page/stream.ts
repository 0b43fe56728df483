/** The stream of what changes on the server. It never gives up, and knows when it hears nothing. */
import type { BeatMessage, ViewMessage } from './patch-message.js';

export interface StreamHandlers {
  /** Anything came. */
  readonly heard: (at: number) => void;
  readonly view: (message: ViewMessage) => void;
  /** Nothing comes any more; it is tried again. */
  readonly lost: () => void;
}

/** The server says something every 5 s. Milliseconds. */
const silenceMs = 15_000;
/** After a refusal, which an EventSource takes for the end. Milliseconds. */
const retryMs = 5000;

export class Stream {
  readonly #handlers: StreamHandlers;
  #source: EventSource | undefined;
  #timer = 0;
  #filter = '';

  constructor(handlers: StreamHandlers) {
    this.#handlers = handlers;
  }

  /** Closes what was open before. */
  open(filter: string): void {
    this.#filter = filter;
    this.#source?.close();
    const source = new EventSource(`/events?${new URLSearchParams({ q: filter }).toString()}`);
    this.#source = source;
    this.#reopenAfter(silenceMs);
    source.addEventListener('view', (event: MessageEvent<string>) => {
      const message = JSON.parse(event.data) as ViewMessage;
      this.#heard(message.at);
      this.#handlers.view(message);
    });
    source.addEventListener('beat', (event: MessageEvent<string>) => this.#heard((JSON.parse(event.data) as BeatMessage).at));
    source.addEventListener('error', () => {
      this.#handlers.lost();
      if (source.readyState === EventSource.CLOSED) this.#reopenAfter(retryMs);
    });
  }

  #heard(at: number): void {
    this.#reopenAfter(silenceMs);
    this.#handlers.heard(at);
  }

  #reopenAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#handlers.lost();
      this.open(this.#filter);
    }, ms);
  }
}

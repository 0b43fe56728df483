/** Open pages: each gets what changed since it last took something, as server-sent events. */
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import type { BeatMessage, Patch, ViewMessage } from '../browser/page/patch-message.js';
import type { Feed, Snapshot } from './feed.js';
import { difference, type Regions } from './regions.js';

export interface ViewersOptions {
  readonly feed: Feed;
  /** What a page with this filter shows. */
  readonly build: (snapshot: Snapshot, filter: string) => Promise<Regions>;
  readonly most: number;
}

interface Viewer {
  readonly response: ServerResponse;
  readonly filter: string;
  /** What its browser has. */
  sent: Regions | undefined;
  sentAt: number;
  /** Has not taken what was sent yet: nothing more is sent, and the next difference covers it. */
  behind: boolean;
}

/** A page that hears nothing for longer than a few of these knows that the server is gone. Milliseconds. */
const beatMs = 5000;
/** Who takes nothing for so long is given up. Milliseconds. */
const stalledMs = 30_000;

export class Viewers {
  readonly #options: ViewersOptions;
  readonly #viewers = new Set<Viewer>();
  #unwatch: (() => void) | undefined;
  #closed = false;

  constructor(options: ViewersOptions) {
    this.#options = options;
  }

  /** Also when closed. */
  get isFull(): boolean {
    return this.#closed || this.#viewers.size >= this.#options.most;
  }

  /** Keeps the response open until its peer goes or {@link close}. */
  async add(response: ServerResponse, filter: string): Promise<void> {
    const viewer: Viewer = { response, filter, sent: undefined, sentAt: performance.now(), behind: false };
    this.#viewers.add(viewer);
    response.once('close', () => {
      this.#remove(viewer);
    });
    response.on('drain', () => {
      viewer.behind = false;
    });
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    response.flushHeaders();
    const snapshot = await this.#options.feed.current();
    const regions = await this.#options.build(snapshot, filter);
    // It may be gone, or a round may have come between.
    if (!this.#viewers.has(viewer)) return;
    if (viewer.sent === undefined) show(viewer, regions, encode(snapshot, difference(undefined, regions), true));
    this.#unwatch ??= this.#options.feed.watch((next) => this.#tell(next));
  }

  /** Ends every stream. */
  close(): void {
    this.#closed = true;
    for (const { response } of this.#viewers) response.end();
  }

  #remove(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  async #tell(snapshot: Snapshot): Promise<void> {
    for (const filter of new Set([...this.#viewers].map((viewer) => viewer.filter))) {
      const same = [...this.#viewers].filter((viewer) => viewer.filter === filter);
      try {
        const regions = await this.#options.build(snapshot, filter);
        const messages = new Map<Regions | undefined, string>();
        for (const viewer of same) this.#update(viewer, snapshot, regions, messages);
      } catch {
        // They come back, and the reason is then the answer to a request, which is logged.
        for (const { response } of same) response.destroy();
      }
      await setImmediate();
    }
  }

  /** @param messages what viewers with the same state get, encoded once. */
  #update(viewer: Viewer, snapshot: Snapshot, regions: Regions, messages: Map<Regions | undefined, string>): void {
    const now = performance.now();
    if (viewer.behind) {
      if (now - viewer.sentAt > stalledMs) viewer.response.destroy();
      return;
    }
    let message = messages.get(viewer.sent);
    if (message === undefined) {
      const patch = difference(viewer.sent, regions);
      message = patch.length === 0 ? '' : encode(snapshot, patch, viewer.sent === undefined);
      messages.set(viewer.sent, message);
    }
    if (message !== '') show(viewer, regions, message);
    else if (now - viewer.sentAt >= beatMs)
      write(viewer, `event: beat\ndata: ${JSON.stringify({ at: snapshot.at } satisfies BeatMessage)}\n\n`);
  }
}

function encode({ at }: Snapshot, patch: Patch, whole: boolean): string {
  return `event: view\ndata: ${JSON.stringify({ at, whole, patch } satisfies ViewMessage)}\n\n`;
}

function show(viewer: Viewer, regions: Regions, message: string): void {
  viewer.sent = regions;
  write(viewer, message);
}

function write(viewer: Viewer, message: string): void {
  viewer.sentAt = performance.now();
  viewer.behind = !viewer.response.write(message);
}

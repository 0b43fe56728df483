/** Whether this server should get calls now, and why not. */
import type { MetadataStore } from '../metadata/stores/store.js';

/** Once not `serving` any more, a server never serves again. */
export type Phase = 'starting' | 'serving' | 'draining';

export interface Verdict {
  readonly ready: boolean;
  /** "ready", or why not. */
  readonly reason: string;
  /** The store can be used; false also while starting. */
  readonly storeUp: boolean;
}

/** A store that says nothing for so long is lost. Milliseconds. */
const storeLimitMs = 2000;

export class Readiness {
  #phase: Phase = 'starting';
  #store: MetadataStore | undefined;
  #asking: Promise<Verdict> | undefined;

  get phase(): Phase {
    return this.#phase;
  }

  serve(store: MetadataStore): void {
    if (this.#phase !== 'starting') return;
    this.#phase = 'serving';
    this.#store = store;
  }

  drain(): void {
    this.#phase = 'draining';
  }

  /** Never rejects, and takes two seconds at most. Probes that come while the store is asked share its answer. */
  async check(): Promise<Verdict> {
    if (this.#store === undefined) return { ready: false, reason: this.#phase, storeUp: false };
    this.#asking ??= ask(this.#store).finally(() => (this.#asking = undefined));
    const verdict = await this.#asking;
    return this.#phase === 'serving' ? verdict : { ...verdict, ready: false, reason: this.#phase };
  }
}

async function ask(store: MetadataStore): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, failed) => {
    timer = setTimeout(() => {
      failed(new Error(`no answer for ${String(storeLimitMs)} ms`));
    }, storeLimitMs);
  });
  try {
    await Promise.race([store.check(), late]);
    return { ready: true, reason: 'ready', storeUp: true };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ready: false, reason: `the ${store.name} store cannot be used: ${why}`, storeUp: false };
  } finally {
    clearTimeout(timer);
  }
}

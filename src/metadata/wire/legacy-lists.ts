/** Tensor lists as `WorkerMetadata.tensors` has them, kept beside the stored ones while there is room. */
import type { WorkerPayload } from '../stores/store.js';
import { legacyTag, retag } from './tensor-entries.js';

type Tensors = Extract<WorkerPayload, { kind: 'tensors' }>;

interface Entry {
  list: Buffer | undefined;
}

/**
 * The lists used last, up to a number of bytes. A list differs from the stored one in a byte a tensor, but to copy it for
 * every caller would cost more than all the rest of a call.
 */
export class LegacyLists {
  readonly #budget: number;
  readonly #byPayload = new WeakMap<Tensors, Entry>();
  /** Oldest use first. */
  readonly #used = new Set<Entry>();
  #bytes = 0;

  /** @param budget bytes. */
  constructor(budget: number) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Not to be changed by the caller. */
  of(payload: Tensors): Buffer {
    const known = this.#byPayload.get(payload);
    const list = known?.list ?? retag(payload.entries, legacyTag);
    if (list.length > this.#budget) return list;
    const entry = known ?? { list: undefined };
    if (entry.list === undefined) this.#bytes += list.length;
    entry.list = list;
    this.#byPayload.set(payload, entry);
    this.#used.delete(entry);
    this.#used.add(entry);
    this.#makeRoom();
    return list;
  }

  #makeRoom(): void {
    for (const entry of this.#used) {
      if (this.#bytes <= this.#budget) return;
      this.#bytes -= entry.list?.length ?? 0;
      entry.list = undefined;
      this.#used.delete(entry);
    }
  }
}

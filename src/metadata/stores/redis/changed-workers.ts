/** Which workers' hashes have changed since they were read. */
import { idsOfWorkerKey } from './keys.js';

/**
 * Redis remembers the keys that a connection has read and says so before its next reply there when one has changed, whoever changed it.
 * It says so once: a worker has to be read again before its next change is told.
 */
export class ChangedWorkers {
  readonly #watches = new Map<string, Watch>();

  /** The changes of a source's workers from now on; the same watch until the source is forgotten or the connection was lost. */
  watch(sourceId: string): Watch {
    let watch = this.#watches.get(sourceId);
    if (watch === undefined) this.#watches.set(sourceId, (watch = new Watch()));
    return watch;
  }

  /** Whether the watch has heard of every change since it began. */
  isCurrent(sourceId: string, watch: Watch): boolean {
    return this.#watches.get(sourceId) === watch;
  }

  /** Ends the source's watch. */
  forget(sourceId: string): void {
    this.#watches.delete(sourceId);
  }

  /** The connection's invalidations: a key has changed, or without one, any may have. */
  note(key: string | undefined): void {
    if (key === undefined) {
      this.#watches.clear();
      return;
    }
    const ids = idsOfWorkerKey(key);
    if (ids !== undefined) this.#watches.get(ids.sourceId)?.add(ids.workerId);
  }
}

export class Watch {
  #workers = new Set<string>();

  /** Workers that have changed and were not taken. */
  get size(): number {
    return this.#workers.size;
  }

  add(workerId: string): void {
    this.#workers.add(workerId);
  }

  /** Those that have changed. Whoever takes them has to read them again. */
  take(): ReadonlySet<string> {
    const taken = this.#workers;
    this.#workers = new Set();
    return taken;
  }
}

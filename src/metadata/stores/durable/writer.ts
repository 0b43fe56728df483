/** Mutations one after the other: first on the disk, then in memory. Those that come while a write runs share the next one. */
import type { MemoryStore } from '../memory.js';
import { type Mutation, type Operation, restoration } from './mutations.js';

/** What is needed of LevelDB. */
export interface Disk {
  batch(operations: Operation[], options: { readonly sync: boolean }): Promise<void>;
  close(): Promise<void>;
  open(): Promise<void>;
}

interface Waiting {
  readonly mutation: Mutation;
  readonly done: (applied: boolean) => void;
  readonly failed: (reason: unknown) => void;
}

/** A write that failed. The disk may have all, some or none of it. */
interface Fault {
  readonly doubtful: readonly Operation[];
  readonly reason: unknown;
  /** When to try again, on the clock of `performance`. */
  readonly retryAt: number;
}

/** A write holds a copy of what it writes; a record may have tens of megabytes. */
const groupBytes = 16 * 1024 * 1024;

export class Writer {
  readonly #disk: Disk;
  readonly #memory: MemoryStore;
  readonly #retryMs: number;
  #queue: Waiting[] = [];
  /** Never rejects. */
  #draining: Promise<void> | undefined;
  #fault: Fault | undefined;

  /** @param retryMs shortest time between two attempts on a disk that fails; default 1000. */
  constructor(disk: Disk, memory: MemoryStore, retryMs = 1000) {
    this.#disk = disk;
    this.#memory = memory;
    this.#retryMs = retryMs;
  }

  /** Whether the last write failed. */
  get faulty(): boolean {
    return this.#fault !== undefined;
  }

  /**
   * Resolves when the mutation is on the disk and in memory; to false when memory had no place for it. Rejects when it
   * could not be written, and memory is as it was.
   */
  submit(mutation: Mutation): Promise<boolean> {
    return new Promise((done, failed) => {
      this.#queue.push({ mutation, done, failed });
      // Later in this turn, so that what comes together is written together.
      this.#draining ??= Promise.resolve().then(() => this.#drain());
    });
  }

  /** After a write that failed, tries to put the disk in order; rejects when it cannot. To be called while nothing is submitted. */
  async recover(): Promise<void> {
    await this.submit({ sourceId: '', workerId: undefined, sync: true, operations: () => [], apply: () => undefined });
  }

  /** Resolves when no mutation waits any longer. Never rejects. */
  async idle(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const { members, operations, sync } = this.#nextGroup();
      try {
        await this.#write(operations, sync);
      } catch (error) {
        for (const { failed } of members) failed(error);
        continue;
      }
      for (const { mutation, done } of members) {
        mutation.apply(this.#memory);
        done(true);
      }
    }
    this.#draining = undefined;
  }

  /** What can be written together: no two of them concern the same worker, since each looks at memory as it is now. */
  #nextGroup(): { members: Waiting[]; operations: Operation[]; sync: boolean } {
    const members: Waiting[] = [];
    const operations: Operation[] = [];
    const claims = new Claims();
    let [taken, bytes] = [0, 0];
    for (const waiting of this.#queue) {
      if (bytes >= groupBytes || !claims.claim(waiting.mutation)) break;
      taken++;
      try {
        const own = waiting.mutation.operations(this.#memory);
        if (own === undefined) {
          waiting.done(false);
          continue;
        }
        for (const operation of own) bytes += operation.type === 'put' ? operation.value.length : 0;
        operations.push(...own);
        members.push(waiting);
      } catch (error) {
        waiting.failed(error);
      }
    }
    this.#queue = this.#queue.slice(taken);
    return { members, operations, sync: members.some(({ mutation }) => mutation.sync) };
  }

  async #write(operations: Operation[], sync: boolean): Promise<void> {
    if (this.#fault !== undefined) await this.#repair(this.#fault);
    if (operations.length === 0) return;
    try {
      await this.#disk.batch(operations, { sync });
    } catch (error) {
      this.#fails(operations, error);
      throw error;
    }
  }

  /**
   * After a failed write, LevelDB appends to a log that it cannot read back: what it acknowledges then is gone after a
   * restart. Only a folder that is opened anew has a sound log.
   */
  async #repair({ doubtful, reason, retryAt }: Fault): Promise<void> {
    if (performance.now() < retryAt) throw reason;
    try {
      await this.#disk.close();
      await this.#disk.open();
      await this.#disk.batch(restoration(doubtful, this.#memory), { sync: true });
      this.#fault = undefined;
    } catch (error) {
      this.#fails(doubtful, error);
      throw error;
    }
  }

  #fails(doubtful: readonly Operation[], reason: unknown): void {
    this.#fault = { doubtful, reason, retryAt: performance.now() + this.#retryMs };
  }
}

/** Which sources and workers a group concerns. */
class Claims {
  readonly #sources = new Map<string, Set<string> | 'whole'>();

  /** False when another one has it already. */
  claim({ sourceId, workerId }: Mutation): boolean {
    const claimed = this.#sources.get(sourceId);
    if (claimed === undefined) {
      this.#sources.set(sourceId, workerId === undefined ? 'whole' : new Set([workerId]));
      return true;
    }
    if (claimed === 'whole' || workerId === undefined || claimed.has(workerId)) return false;
    claimed.add(workerId);
    return true;
  }
}

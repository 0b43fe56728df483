/** The store that outlives its process: memory, written through to a LevelDB folder. */
import { WeightcastError } from '../../../errors.js';
import type { Logger } from '../../../observe/logger.js';
import { MemoryStore } from '../memory.js';
import type { MetadataStore, SourceAttributes, StatusUpdate, StoredRecord, StoreName, WorkerListing, WorkerRecord } from '../store.js';
import { checkFormat } from './format.js';
import { type Level, messageOf, openFailure, openLevel } from './level.js';
import { load } from './load.js';
import { type Mutation, publication, removal, statusUpdate } from './mutations.js';
import { Writer } from './writer.js';

/**
 * Reads are answered from memory. A change is written first and then made in memory, so that what could not be written is
 * not seen, and what is seen survives.
 */
export class DurableStore implements MetadataStore {
  readonly name: StoreName = 'durable';
  readonly #level: Level;
  readonly #memory: MemoryStore;
  readonly #writer: Writer;
  readonly #folder: string;
  #closing: Promise<void> | undefined;

  private constructor(level: Level, memory: MemoryStore, folder: string) {
    this.#level = level;
    this.#memory = memory;
    this.#folder = folder;
    this.#writer = new Writer(level, memory);
  }

  /** @throws ERR_STORE when the folder cannot be used. */
  static async open(folder: string, logger: Logger): Promise<DurableStore> {
    const level = await openLevel(folder);
    const memory = new MemoryStore();
    try {
      await checkFormat(level, folder, logger);
      const { workers, skipped } = await load(level, memory, logger);
      logger.info('durable store opened', { folder, workers, skipped });
    } catch (error) {
      await level.close().catch(() => undefined);
      throw openFailure(folder, error);
    }
    return new DurableStore(level, memory, folder);
  }

  /** After a write that failed, tries to write again. */
  async check(): Promise<void> {
    this.#throwIfClosed();
    if (this.#writer.faulty) await this.#naming(this.#writer.recover());
  }

  async publish(sourceId: string, workerId: string, source: SourceAttributes, worker: WorkerRecord): Promise<void> {
    await this.#submit(publication(sourceId, workerId, source, worker));
  }

  list(sourceId?: string): Promise<readonly WorkerListing[]> {
    return this.#memory.list(sourceId);
  }

  get(sourceId: string, workerId: string): Promise<StoredRecord | undefined> {
    return this.#memory.get(sourceId, workerId);
  }

  updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, ifUpdatedAt?: bigint): Promise<boolean> {
    return this.#submit(statusUpdate(sourceId, workerId, workerRank, update, ifUpdatedAt));
  }

  removeWorker(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Promise<boolean> {
    return this.#submit(removal(sourceId, workerId, ifUpdatedAt));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.idle();
    await this.#level.close();
    await this.#memory.close();
  }

  async #submit(mutation: Mutation): Promise<boolean> {
    this.#throwIfClosed();
    return this.#naming(this.#writer.submit(mutation));
  }

  async #naming<T>(writing: Promise<T>): Promise<T> {
    try {
      return await writing;
    } catch (error) {
      const reason = messageOf(error);
      throw new WeightcastError('ERR_STORE', `cannot write to the durable store in ${this.#folder}: ${reason}`, { cause: error });
    }
  }

  #throwIfClosed(): void {
    if (this.#closing !== undefined) throw new WeightcastError('ERR_CLOSED', `the durable store in ${this.#folder} is closed`);
  }
}

/** Weight files, written out of one region while it is being filled. */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted, toWeightcastError } from '../../errors.js';
import type { Region } from '../../region.js';
import type { Landing } from './destination.js';
import { writeAt } from './write-at.js';

/** One write call: large enough that the call does not count, small enough that an abort is felt. */
const CHUNK_BYTES = 16 << 20;
/** Writes at a time: all but one of the threads that libuv has for files by default, which others need as well. */
const WRITERS = 3;

/** A file to write: its head (length and header), and where its data lies in the region. */
export interface WeightFile {
  readonly name: string;
  readonly head: Buffer;
  readonly offset: bigint;
  readonly bytes: bigint;
}

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  /** Of its data. */
  unwritten: bigint;
}

/**
 * Each chunk of the region is written once, when it is known to be whole: as soon as it has landed, or by `finish`. A file is
 * opened for the first of its chunks and closed after the last.
 */
export class WeightFiles implements Landing {
  readonly region = 0;
  readonly chunkBytes = CHUNK_BYTES;
  readonly #folder: string;
  readonly #path: string;
  readonly #memory: Region;
  /** By offset in the region. */
  readonly #files: readonly WeightFile[];
  readonly #open = new Map<WeightFile, OpenFile>();
  /** By chunk: not 0 once it was told. */
  readonly #told: Uint8Array;
  #queue: number[] = [];
  #writing = 0;
  #written = 0n;
  #failure: { readonly reason: unknown } | undefined;
  #onWritten: ((bytes: bigint) => void) | undefined;
  #onIdle: (() => void) | undefined;

  /**
   * @param folder where the files are written.
   * @param path where they are to be in the end: what messages name.
   */
  constructor(folder: string, path: string, memory: Region, files: readonly WeightFile[]) {
    this.#folder = folder;
    this.#path = path;
    this.#memory = memory;
    this.#files = files;
    this.#told = new Uint8Array(Math.ceil(Number(memory.byteLength) / CHUNK_BYTES));
  }

  get names(): readonly string[] {
    return this.#files.map(({ name }) => name);
  }

  /** Bytes of their data that are in the files by now; before `finish`, those that were written while others were read. */
  get writtenWhileReading(): bigint {
    return this.#written;
  }

  landed(chunks: Uint32Array): void {
    this.#throwFailure();
    for (const chunk of chunks) this.#tell(chunk);
    this.#pump();
  }

  /**
   * Writes what is not written yet: all of the region is whole now.
   * @throws system errors as ours, ERR_DISK_FULL among them; ERR_ABORTED.
   */
  async finish(progress: (bytes: bigint) => void, signal: AbortSignal | undefined): Promise<void> {
    progress(this.#written);
    this.#onWritten = progress;
    const stop = (): void => {
      this.#queue = [];
    };
    signal?.addEventListener('abort', stop);
    try {
      for (let chunk = 0; chunk < this.#told.length; chunk++) this.#tell(chunk);
      await this.#idle();
      throwIfAborted(signal, 'write');
      this.#throwFailure();
      for (const file of this.#files) if (file.bytes === 0n) await this.#writeHeadOnly(file);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Ends all writing; the files stay. Never throws. */
  async abandon(): Promise<void> {
    this.#queue = [];
    this.#failure ??= { reason: undefined };
    await this.#idle();
    await Promise.all([...this.#open.values()].map(({ handle }) => handle.then((file) => file.close()).catch(() => undefined)));
    this.#open.clear();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined)
      throw toWeightcastError(this.#failure.reason, { doing: `cannot write to ${this.#path}`, file: this.#path });
  }

  #tell(chunk: number): void {
    if (this.#told[chunk] !== 0) return;
    this.#told[chunk] = 1;
    this.#queue.push(chunk);
  }

  /** Settles when nothing is being written and nothing waits to be. */
  #idle(): Promise<void> {
    this.#pump();
    if (this.#writing === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #pump(): void {
    while (this.#writing < WRITERS) {
      const chunk = this.#queue.shift();
      if (chunk === undefined) break;
      this.#writing += 1;
      void this.#write(chunk)
        .catch((reason: unknown) => {
          this.#failure ??= { reason };
          this.#queue = [];
        })
        .finally(() => {
          this.#writing -= 1;
          this.#pump();
          if (this.#writing === 0) this.#onIdle?.();
        });
    }
  }

  async #write(chunk: number): Promise<void> {
    const start = BigInt(chunk) * BigInt(CHUNK_BYTES);
    const end = start + BigInt(CHUNK_BYTES);
    for (let at = this.#firstFileAfter(start); at < this.#files.length; at++) {
      const file = this.#files[at];
      if (file === undefined || file.offset >= end) return;
      const from = file.offset > start ? file.offset : start;
      const to = file.offset + file.bytes < end ? file.offset + file.bytes : end;
      if (to > from) await this.#writePart(file, from, to - from);
    }
  }

  /** The first file whose data ends behind this offset; files lie one after the other. */
  #firstFileAfter(offset: bigint): number {
    let [low, high] = [0, this.#files.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const file = this.#files[middle];
      if (file !== undefined && file.offset + file.bytes <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async #writePart(file: WeightFile, from: bigint, bytes: bigint): Promise<void> {
    const opened = this.#opened(file);
    const handle = await opened.handle;
    await writeAt(handle, this.#memory.view(from, Number(bytes)), file.head.length + Number(from - file.offset));
    opened.unwritten -= bytes;
    this.#written += bytes;
    this.#onWritten?.(bytes);
    if (opened.unwritten > 0n) return;
    this.#open.delete(file);
    await handle.close();
  }

  #opened(file: WeightFile): OpenFile {
    let opened = this.#open.get(file);
    if (opened === undefined) {
      opened = { handle: this.#create(file), unwritten: file.bytes };
      this.#open.set(file, opened);
    }
    return opened;
  }

  async #create(file: WeightFile): Promise<FileHandle> {
    const handle = await open(join(this.#folder, file.name), 'wx');
    try {
      await writeAt(handle, file.head, 0);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #writeHeadOnly(file: WeightFile): Promise<void> {
    await (await this.#create(file)).close();
  }
}

/** Sequential file writing in large chunks: one is filled while the one before is on its way to the disk. */
import { open, type FileHandle } from 'node:fs/promises';

const chunkBytes = 8 * 1024 * 1024;

/** Writes a new file. Call {@link ChunkWriter.close} in every case; only what was flushed is in the file. */
export class ChunkWriter {
  private chunk = Buffer.allocUnsafeSlow(chunkBytes);
  private spare = Buffer.allocUnsafeSlow(chunkBytes);
  private filled = 0;
  private writing: Promise<void> = Promise.resolve();

  private constructor(private readonly handle: FileHandle) {}

  /** @throws EEXIST when there is something at `path` already. */
  static async create(path: string): Promise<ChunkWriter> {
    return new ChunkWriter(await open(path, 'wx'));
  }

  /** Copies `bytes`; waits for the disk only when a chunk is full. Rejects with the error of an earlier chunk, too. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + chunkBytes - this.filled);
      this.chunk.set(part, this.filled);
      this.filled += part.length;
      done += part.length;
      if (this.filled === chunkBytes) await this.turn();
    }
  }

  /** Writes what is left and waits for all of it. */
  async flush(): Promise<void> {
    await this.turn();
    await this.writing;
  }

  async close(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.handle.close();
  }

  private async turn(): Promise<void> {
    await this.writing;
    const full = this.chunk.subarray(0, this.filled);
    [this.chunk, this.spare] = [this.spare, this.chunk];
    this.filled = 0;
    this.writing = this.write(full);
    // Its failure is seen at the next await of `writing`; until then it must not count as unhandled.
    this.writing.catch(() => undefined);
  }

  private async write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += (await this.handle.write(bytes, done, bytes.length - done)).bytesWritten;
    }
  }
}

import { mkdir, open, readdir, rename, rm, rmdir, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { WeightcastError, toWeightcastError } from '../../errors.js';
import type { HostMemory } from '../../locality.js';
import type { Region } from '../../region.js';
import type { Catalog } from '../catalog.js';
import type { PullOutput } from '../options.js';
import type { DestinationWriter, FetchFile, Placement } from './destination.js';
import { layOut } from './layout.js';
import { fetchVerified } from './model-file.js';
import { flattenedNote, singleFile } from './single-file.js';
import { type WeightFile, WeightFiles } from './weight-files.js';
import { writeAt } from './write-at.js';

/**
 * A model directory equal to the seed's: the same files with the same headers, or one model.safetensors where the seed
 * has no files. It is written beside its place, while the rest is still being read, and renamed when all of it is
 * verified, so that half a model is never seen.
 */
export class DirectoryDestination implements DestinationWriter {
  notes: readonly string[] = [];
  private readonly path: string;
  private readonly partial: string;
  private region: Region | undefined;
  private weights: WeightFiles | undefined;
  private created = false;

  constructor(path: string) {
    this.path = resolve(path);
    this.partial = join(dirname(this.path), `.${basename(this.path)}.partial-${String(process.pid)}`);
  }

  async prepare(catalog: Catalog, memory: HostMemory): Promise<Placement> {
    await this.refuseOccupied();
    for (const { name } of [...catalog.weightFiles, ...catalog.modelFiles]) refuseUnsafeName(name, catalog.peer);
    try {
      await mkdir(dirname(this.path), { recursive: true });
      await mkdir(this.partial);
      this.created = true;
      await this.refuseFull(catalog);
    } catch (error) {
      throw toWeightcastError(error, { doing: `cannot write to ${this.path}`, file: this.path });
    }
    return catalog.weightFiles.length > 0 && catalog.tensors.every((tensor) => tensor.file >= 0)
      ? await this.asFiles(catalog, memory)
      : await this.asOne(catalog, memory);
  }

  async commit(
    catalog: Catalog,
    fetchFile: FetchFile | undefined,
    progress: (bytes: bigint) => void,
    signal: AbortSignal | undefined,
  ): Promise<PullOutput> {
    const { weights } = this;
    if (weights === undefined) throw new WeightcastError('ERR_INTERNAL', 'commit before prepare');
    const { writtenWhileReading } = weights;
    const modelFiles = fetchFile === undefined ? [] : catalog.modelFiles;
    try {
      await weights.finish(progress, signal);
      for (const file of modelFiles) await this.writeModelFile(file, fetchFile as FetchFile, signal);
      // An empty directory may be in the place (refuseOccupied saw to that): rename needs it gone.
      await rmdir(this.path).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      });
      await rename(this.partial, this.path);
      this.created = false;
    } catch (error) {
      throw toWeightcastError(error, { doing: `cannot write to ${this.path}`, file: this.path });
    }
    this.region?.close();
    const files = [...weights.names, ...modelFiles.map(({ name }) => name)];
    return { kind: 'directory', path: this.path, files, writtenWhileReading };
  }

  async abandon(): Promise<void> {
    await this.weights?.abandon();
    this.region?.close();
    if (this.created) await rm(this.partial, { recursive: true, force: true }).catch(() => undefined);
  }

  private async asFiles(catalog: Catalog, memory: HostMemory): Promise<Placement> {
    const layout = layOut(catalog);
    this.region = await memory.allocate(layout.bytes > 0n ? layout.bytes : 1n);
    const files = catalog.weightFiles.map((file, index) => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(file.header.length));
      return { name: file.name, head: Buffer.concat([length, file.header]), offset: layout.files[index] ?? 0n, bytes: file.dataBytes };
    });
    return this.place(catalog, this.region, files, layout.tensors);
  }

  private async asOne(catalog: Catalog, memory: HostMemory): Promise<Placement> {
    const file = singleFile(catalog.tensors);
    this.notes = flattenedNote(file.flattened);
    this.region = await memory.allocate(file.bytes);
    const start = BigInt(file.head.length);
    const files = [{ name: 'model.safetensors', head: file.head, offset: start, bytes: file.bytes - start }];
    return this.place(catalog, this.region, files, file.offsets);
  }

  private place({ tensors }: Catalog, region: Region, files: readonly WeightFile[], offsets: readonly bigint[]): Placement {
    this.weights = new WeightFiles(this.partial, this.path, region, files);
    return { tensors, at: offsets.map((offset) => ({ region: 0, offset })), regions: [region.handle], landing: this.weights };
  }

  private async writeModelFile(file: Catalog['modelFiles'][number], fetchFile: FetchFile, signal: AbortSignal | undefined): Promise<void> {
    const handle = await open(join(this.partial, file.name), 'wx');
    try {
      let end = 0;
      for await (const chunk of fetchVerified(file, fetchFile, signal)) {
        await writeAt(handle, chunk, end);
        end += chunk.length;
      }
    } finally {
      await handle.close();
    }
  }

  private async refuseOccupied(): Promise<void> {
    const entries = await readdir(this.path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw toWeightcastError(error, { doing: `cannot write to ${this.path}`, file: this.path });
    });
    if (entries.length > 0) {
      throw new WeightcastError('ERR_ALREADY_EXISTS', `${this.path} is not empty; choose a new directory or remove what is there`, {
        file: this.path,
      });
    }
  }

  /** A full disk is found before the wire is used; it can still fill up later, which ends the read. */
  private async refuseFull(catalog: Catalog): Promise<void> {
    const needed = catalog.modelFiles.reduce((sum, file) => sum + file.size, catalog.bytes);
    const { bavail, bsize } = await statfs(this.partial, { bigint: true });
    if (bavail * bsize < needed) {
      throw new WeightcastError(
        'ERR_DISK_FULL',
        `${this.path} needs ${String(needed)} bytes, but its file system has ${String(bavail * bsize)} free; free some or choose another place`,
        {
          file: this.path,
        },
      );
    }
  }
}

/** File names come from the peer: they must stay inside the directory. */
function refuseUnsafeName(name: string, peer: string): void {
  if (name === '' || name.startsWith('.') || name.length > 255 || /[/\\\0]/.test(name)) {
    throw new WeightcastError('ERR_PROTOCOL', `${peer} publishes a file with the unsafe name ${JSON.stringify(name)}`, {
      peer,
      file: name,
    });
  }
}

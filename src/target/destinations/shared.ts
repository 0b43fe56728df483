import { rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { WeightcastError, toWeightcastError } from '../../errors.js';
import type { HostMemory } from '../../locality.js';
import type { Region } from '../../region.js';
import type { Catalog } from '../catalog.js';
import type { PullOutput } from '../options.js';
import type { DestinationWriter, Placement } from './destination.js';
import { flattenedNote, singleFile } from './single-file.js';

const DIRECTORY = '/dev/shm';

/**
 * One safetensors file in shared memory. It is read into under a hidden name and renamed when it is verified, so that
 * nobody can map half of it.
 */
export class SharedDestination implements DestinationWriter {
  notes: readonly string[] = [];
  private readonly path: string;
  private readonly partial: string;
  private region: Region | undefined;

  constructor(private readonly name: string) {
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$/.test(name)) {
      throw new WeightcastError('ERR_INVALID_ARGUMENT', `pull: expected a plain file name for shared memory but received "${name}"`);
    }
    this.path = `${DIRECTORY}/${name}`;
    this.partial = `.${name}.partial-${String(process.pid)}`;
  }

  async prepare(catalog: Catalog, memory: HostMemory): Promise<Placement> {
    this.refuseExisting();
    const file = singleFile(catalog.tensors);
    this.notes = [
      ...flattenedNote(file.flattened),
      ...(catalog.modelFiles.length > 0
        ? [`${String(catalog.modelFiles.length)} other file(s) of the model were not fetched: shared memory holds one safetensors file`]
        : []),
    ];
    this.region = await memory.createShared(this.partial, file.bytes);
    this.region.view(0n, file.head.length).set(file.head);
    return { tensors: catalog.tensors, at: file.offsets.map((offset) => ({ region: 0, offset })), regions: [this.region.handle] };
  }

  async commit(): Promise<PullOutput> {
    const bytes = this.region?.byteLength ?? 0n;
    this.refuseExisting();
    try {
      await rename(`${DIRECTORY}/${this.partial}`, this.path);
    } catch (error) {
      throw toWeightcastError(error, { doing: `cannot name shared memory ${this.name}`, file: this.path });
    }
    this.region?.close();
    return { kind: 'shared', name: this.name, path: this.path, bytes };
  }

  async abandon(): Promise<void> {
    if (this.region === undefined) return;
    this.region.close();
    await rm(`${DIRECTORY}/${this.partial}`, { force: true }).catch(() => undefined);
  }

  private refuseExisting(): void {
    if (existsSync(this.path)) {
      throw new WeightcastError(
        'ERR_ALREADY_EXISTS',
        `shared memory ${this.name} exists (${this.path}); remove it or choose another name`,
        { file: this.path },
      );
    }
  }
}

/** Where a mirror's pull ends: one region, laid out to be served, and the other files of the model beside it. */
import { WeightcastError } from '../errors.js';
import type { HostMemory } from '../locality.js';
import { maxModelFileBytes } from '../model/model-files.js';
import type { Region } from '../region.js';
import type { SeedContent } from '../seed/content.js';
import type { Catalog } from '../target/catalog.js';
import type { DestinationWriter, FetchFile, Placement } from '../target/destinations/index.js';
import { fetchVerified } from '../target/destinations/model-file.js';
import type { PullOutput } from '../target/index.js';
import { contentOf, placed } from './content.js';

/** Bytes of all model files together: they are held in memory, and their sizes come from a peer. */
const maxModelFilesBytes = 1n << 30n;

export class MirrorMemory implements DestinationWriter {
  readonly notes: readonly string[] = [];
  #region: Region | undefined;
  #offsets: readonly bigint[] = [];
  #content: SeedContent | undefined;

  /** What is there to be served, after `commit`; whoever takes it closes it. */
  get content(): SeedContent | undefined {
    return this.#content;
  }

  async prepare(catalog: Catalog, memory: HostMemory): Promise<Placement> {
    refuseLargeFiles(catalog);
    const { offsets, bytes } = placed(catalog);
    this.#offsets = offsets;
    this.#region = await memory.allocate(bytes > 0n ? bytes : 1n);
    return { tensors: catalog.tensors, at: offsets.map((offset) => ({ region: 0, offset })), regions: [this.#region.handle] };
  }

  async commit(
    catalog: Catalog,
    fetchFile: FetchFile | undefined,
    _progress: (bytes: bigint) => void,
    signal: AbortSignal | undefined,
  ): Promise<PullOutput> {
    const region = this.#region;
    if (region === undefined) throw new WeightcastError('ERR_INTERNAL', 'commit before prepare');
    const files = new Map<string, Buffer>();
    for (const file of fetchFile === undefined ? [] : catalog.modelFiles) {
      const bytes = Buffer.allocUnsafeSlow(Number(file.size));
      let end = 0;
      for await (const chunk of fetchVerified(file, fetchFile as FetchFile, signal)) end += chunk.copy(bytes, end);
      files.set(file.name, bytes);
    }
    this.#content = contentOf(catalog, region, this.#offsets, files);
    return { kind: 'discard' };
  }

  abandon(): Promise<void> {
    this.#region?.close();
    this.#content = undefined;
    return Promise.resolve();
  }
}

function refuseLargeFiles({ modelFiles, peer }: Catalog): void {
  const large = modelFiles.find((file) => file.size > maxModelFileBytes);
  const sum = modelFiles.reduce((bytes, file) => bytes + file.size, 0n);
  if (large === undefined && sum <= maxModelFilesBytes) return;
  const what =
    large === undefined
      ? `${String(modelFiles.length)} files beside the weights with ${String(sum)} bytes in all, where ${String(maxModelFilesBytes)} are the most`
      : `${large.name} with ${String(large.size)} bytes, where ${String(maxModelFileBytes)} are the most for a file beside the weights`;
  throw new WeightcastError('ERR_PROTOCOL', `${peer} announces ${what}: a mirror holds them in memory`, { peer, file: large?.name });
}

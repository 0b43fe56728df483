import { nativeDevice } from '../../device/check.js';
import type { DeviceId } from '../../device/device.js';
import type { HostMemory } from '../../locality.js';
import { Region } from '../../region.js';
import type { Catalog } from '../catalog.js';
import type { PullOutput } from '../options.js';
import type { DestinationWriter, Placement } from './destination.js';
import { layOut, type FileLayout } from './layout.js';

/** One region of our own, of the host or of an accelerator, handed over (`memory`) or dropped (`discard`). */
export class MemoryDestination implements DestinationWriter {
  readonly notes: readonly string[] = [];
  private region: Region | undefined;
  private layout: FileLayout | undefined;

  /** @throws ERR_INVALID_ARGUMENT for what is no device. */
  constructor(
    private readonly keep: boolean,
    private readonly on: DeviceId | undefined,
  ) {
    if (on !== undefined) nativeDevice(on, 'pull: into.on');
  }

  async prepare(catalog: Catalog, memory: HostMemory): Promise<Placement> {
    const layout = layOut(catalog);
    this.layout = layout;
    const bytes = layout.bytes > 0n ? layout.bytes : 1n;
    this.region = await (this.on === undefined ? memory.allocate(bytes) : Region.allocateOn(this.on, bytes));
    return { tensors: catalog.tensors, at: layout.tensors.map((offset) => ({ region: 0, offset })), regions: [this.region.handle] };
  }

  commit(catalog: Catalog): Promise<PullOutput> {
    const { region, layout } = this;
    if (!this.keep || region === undefined) {
      region?.close();
      return Promise.resolve({ kind: 'discard' });
    }
    const tensors = catalog.tensors.map(({ name, dtype, shape, bytes }, index) => ({
      name,
      dtype,
      shape: shape ?? [Number(bytes)],
      bytes,
      offset: layout?.tensors[index] ?? 0n,
    }));
    return Promise.resolve({ kind: 'memory', region, tensors });
  }

  abandon(): Promise<void> {
    this.region?.close();
    return Promise.resolve();
  }
}

import { spansOf, type DeviceRange } from '../../device/allocations.js';
import { nativeDevice } from '../../device/check.js';
import { Region } from '../../region.js';
import { WeightcastError } from '../../errors.js';
import { matchExpected, type Catalog, type CatalogTensor } from '../catalog.js';
import type { PullOutput, TargetTensor } from '../options.js';
import type { DestinationWriter, Placement } from './destination.js';

/** The caller's own buffers. A failed pull leaves them with undefined bytes; they are never freed. */
export class OwnTensors implements DestinationWriter {
  readonly notes: readonly string[] = [];
  private readonly adopted: Region[] = [];

  constructor(private readonly tensors: readonly TargetTensor[]) {}

  async prepare(catalog: Catalog): Promise<Placement> {
    const found = matchExpected(
      catalog,
      this.tensors.map((tensor) => ({ ...tensor, bytes: BigInt(tensor.data.byteLength) })),
    );
    const regions: Region[] = [];
    const indexOf = new Map<Region | ArrayBufferLike, number>();
    const tensors: CatalogTensor[] = [];
    const at: { region: number; offset: bigint }[] = [];
    const onDevices: (DeviceRange & { readonly row: number })[] = [];
    for (const [index, { name, data }] of this.tensors.entries()) {
      const tensor = found[index];
      if (tensor === undefined || tensor.bytes === 0n) continue;
      tensors.push(tensor);
      if (ArrayBuffer.isView(data)) {
        const region = indexOf.get(data.buffer) ?? this.adopt(regions, Region.fromBuffer(data.buffer as ArrayBuffer));
        indexOf.set(data.buffer, region);
        at.push({ region, offset: BigInt(data.byteOffset) });
      } else if ('region' in data) {
        if (!data.region.handle.writable) {
          throw new WeightcastError('ERR_INVALID_ARGUMENT', `pull: the region given for tensor ${name} is read-only`, { tensor: name });
        }
        if (data.offset < 0n || data.offset + data.byteLength > data.region.byteLength) {
          throw new WeightcastError(
            'ERR_INVALID_ARGUMENT',
            `pull: tensor ${name} would go to ${String(data.offset)} + ${String(data.byteLength)}, outside of its region of ${String(data.region.byteLength)} bytes`,
            { tensor: name },
          );
        }
        const region = indexOf.get(data.region) ?? regions.push(data.region) - 1;
        indexOf.set(data.region, region);
        at.push({ region, offset: data.offset });
      } else if ('device' in data) {
        const device = nativeDevice(data.device, `pull: the memory of tensor ${name}`);
        onDevices.push({ row: at.push({ region: 0, offset: 0n }) - 1, name, device, address: data.address, bytes: tensor.bytes });
      } else {
        at.push({ region: this.adopt(regions, Region.fromAddress(data.address, data.byteLength)), offset: 0n });
      }
    }
    for (const span of await spansOf(onDevices, 'pull')) {
      const region = this.adopt(regions, await Region.fromDeviceAddress(span.device.kind, span.address, span.bytes));
      for (const { row, address } of span.members) at[row] = { region, offset: address - span.address };
    }
    refuseOverlaps(tensors, at, regions);
    return { tensors, at, regions: regions.map((region) => region.handle) };
  }

  commit(): Promise<PullOutput> {
    this.release();
    return Promise.resolve({ kind: 'tensors' });
  }

  abandon(): Promise<void> {
    this.release();
    return Promise.resolve();
  }

  private adopt(regions: Region[], region: Region): number {
    this.adopted.push(region);
    return regions.push(region) - 1;
  }

  private release(): void {
    for (const region of this.adopted) region.close();
  }
}

/** Two tensors in one place would both look verified and one be wrong. */
function refuseOverlaps(tensors: readonly CatalogTensor[], at: Placement['at'], regions: readonly Region[]): void {
  const spans = tensors.map((tensor, index) => {
    const place = at[index];
    const start = (regions[place?.region ?? 0]?.address ?? 0n) + (place?.offset ?? 0n);
    return { name: tensor.name, start, end: start + tensor.bytes };
  });
  spans.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  for (const [index, span] of spans.entries()) {
    const next = spans[index + 1];
    if (next !== undefined && next.start < span.end) {
      throw new WeightcastError('ERR_INVALID_ARGUMENT', `pull: the memory given for tensors ${span.name} and ${next.name} overlaps`, {
        tensor: next.name,
      });
    }
  }
}

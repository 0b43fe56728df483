/** No copy at all: the tensors stay where the seed of this host has them, and are mapped. */
import { WeightcastError } from '../errors.js';
import type { NativeLocalPeer } from '../native.js';
import { Region } from '../region.js';
import type { Catalog, CatalogTensor } from './catalog.js';
import type { Placement } from './destinations/index.js';
import type { PullOutput } from './options.js';

export interface Mapped {
  readonly placement: Placement;
  readonly output: PullOutput & { readonly kind: 'mapped' };
  close(): void;
}

/**
 * Maps the buffers that hold tensors, each once, read-only.
 * @throws ERR_TRANSPORT_UNAVAILABLE for tensors in memory that is the seed's process's alone, ERR_PROTOCOL for one that lies in no buffer.
 */
export async function mapTensors(catalog: Catalog, seed: NativeLocalPeer, peer: string): Promise<Mapped> {
  const find = finder(seed);
  const regions: Region[] = [];
  const indexOf = new Map<number, number>();
  const at: { region: number; offset: bigint }[] = [];
  const close = (): void => {
    for (const region of regions) region.close();
  };
  try {
    for (const tensor of catalog.tensors) {
      if (tensor.bytes === 0n) {
        at.push({ region: 0, offset: 0n });
        continue;
      }
      const buffer = find(tensor);
      if (buffer === undefined) {
        const what = `tensor ${tensor.name} of ${peer} lies in none of its buffers, or in two`;
        throw new WeightcastError('ERR_PROTOCOL', what, { peer, tensor: tensor.name });
      }
      if (seed.shared[buffer] !== 1) throw unshared(tensor, peer);
      const region = indexOf.get(buffer) ?? regions.push(await Region.of('cannot map the memory of a seed', seed.map(buffer))) - 1;
      indexOf.set(buffer, region);
      at.push({ region, offset: tensor.address - (seed.bufferAddress[buffer] ?? 0n) });
    }
  } catch (error) {
    close();
    throw error;
  }
  const tensors = catalog.tensors.map(({ name, dtype, shape, bytes }, index) => ({
    name,
    dtype,
    shape: shape ?? [Number(bytes)],
    bytes,
    ...(at[index] ?? { region: 0, offset: 0n }),
  }));
  const placement = { tensors: catalog.tensors, at, regions: regions.map((region) => region.handle) };
  return { placement, output: { kind: 'mapped', regions, tensors }, close };
}

/** The buffer that holds a tensor, by bisection: there may be thousands of either. */
function finder({ bufferAddress, bufferLength }: NativeLocalPeer): (tensor: CatalogTensor) => number | undefined {
  const order = [...bufferAddress.keys()].sort((a, b) => ((bufferAddress[a] ?? 0n) < (bufferAddress[b] ?? 0n) ? -1 : 1));
  return ({ address, bytes }) => {
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((bufferAddress[order[middle] ?? 0] ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    const buffer = order[low - 1];
    if (buffer === undefined) return undefined;
    const end = (bufferAddress[buffer] ?? 0n) + (bufferLength[buffer] ?? 0n);
    return address + bytes <= end ? buffer : undefined;
  };
}

function unshared({ name }: CatalogTensor, peer: string): WeightcastError {
  return new WeightcastError(
    'ERR_TRANSPORT_UNAVAILABLE',
    `tensor ${name} of ${peer} is in memory of that process alone, which cannot be mapped: seed files or shared memory, or pull into memory of your own`,
    { peer, tensor: name },
  );
}

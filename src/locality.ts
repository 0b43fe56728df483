/** NUMA: on machines of several nodes, memory that RDMA devices read into or from, and the threads that serve them, go to their node. */
import { WeightcastError, toWeightcastError } from './errors.js';
import { native, type NativeLocality, type NativeRegion } from './native.js';
import { Region } from './region.js';

/** Environment variable: `auto` (default), or `off`, where the kernel's own choice is better. */
export const NUMA_VARIABLE = 'WEIGHTCAST_NUMA';

/** What was done for locality on a machine of several nodes. */
export interface NumaSummary {
  /** How many nodes are online. */
  readonly nodes: number;
  readonly nics: readonly NicNuma[];
  readonly memory: {
    /** Nodes that the pages are to come from; none where they were left to the kernel. A full node gives way to another. */
    readonly nodes: readonly number[];
    /** Why they were left to the kernel, or not all devices count; `''` when all is as it should be. */
    readonly reason: string;
  };
}

/** One RDMA device of {@link NumaSummary}. */
export interface NicNuma {
  readonly device: string;
  /** -1: the kernel does not know. */
  readonly node: number;
  /** Where the threads that serve it are kept, `0-31,64-95`; `''`: nowhere. */
  readonly processors: string;
  /** Why nowhere; `''` when they are. */
  readonly reason: string;
}

/** New memory of the host. */
export interface HostMemory {
  allocate(bytes: bigint): Promise<Region>;
  createShared(name: string, bytes: bigint): Promise<Region>;
}

/** Wherever the kernel has it. */
export const anyMemory: HostMemory = {
  allocate: (bytes) => Region.allocate(bytes),
  createShared: (name, bytes) => Region.createShared(name, bytes),
};

/** Where the RDMA devices of one pull or seed are, and what goes near them. */
export class Locality {
  private constructor(private readonly found: NativeLocality) {}

  /**
   * @param devices - RDMA devices.
   * @param environment - has {@link NUMA_VARIABLE}.
   * @throws ERR_INVALID_ARGUMENT when that is neither `auto` nor `off`.
   */
  static async of(devices: readonly string[], environment: NodeJS.ProcessEnv = process.env): Promise<Locality> {
    const wanted = environment[NUMA_VARIABLE] ?? 'auto';
    if (wanted !== 'auto' && wanted !== 'off') {
      throw new WeightcastError('ERR_INVALID_ARGUMENT', `expected auto or off for ${NUMA_VARIABLE} but received "${wanted}"`);
    }
    const found = await native()
      .locate(devices)
      .catch((error: unknown) => {
        throw toWeightcastError(error, { doing: 'cannot find the NUMA nodes of RDMA devices' });
      });
    return new Locality(wanted === 'off' ? { ...found, nics: found.nics.map(turnedOff) } : found);
  }

  /** What was decided. */
  get decisions(): NativeLocality {
    return this.found;
  }

  /** False on a machine of one node, where all is near. */
  get matters(): boolean {
    return this.found.nodes.length > 1;
  }

  /** Where the threads of a device's lanes are kept; `''`: nowhere. */
  processorsOf(device: string): string {
    return this.#nic(device)?.processors ?? '';
  }

  /** Memory for these devices: in proportion to how many of them are on each node. */
  memoryNear(devices: readonly string[]): HostMemory {
    const placed = devices.flatMap((device) => this.#nic(device) ?? []).filter(({ memoryReason }) => memoryReason === '');
    if (!this.matters || placed.length === 0) return anyMemory;
    const nodes = Uint32Array.from(placed, ({ node }) => node);
    return {
      allocate: (bytes) => Region.of('cannot allocate a region', native().allocate(bytes, 'auto', nodes)),
      createShared: (name, bytes) => Region.of(`cannot create shared memory ${name}`, native().createShared(name, bytes, nodes)),
    };
  }

  /**
   * What came of it; `undefined` where nothing is to be said.
   * @param devices - those in use.
   * @param regions - what they read into or from.
   * @param refusals - by device: why its threads could not be kept.
   */
  summary(
    devices: readonly string[],
    regions: readonly Pick<NativeRegion, 'kind' | 'placement'>[],
    refusals: ReadonlyMap<string, string> = new Map(),
  ): NumaSummary | undefined {
    const located = [...new Set(devices)].flatMap((device) => this.#nic(device) ?? []);
    if (!this.matters || located.length === 0) return undefined;
    const nics = located.map(({ device, node, processors, threadsReason }): NicNuma => {
      const refusal = refusals.get(device) ?? '';
      return { device, node, processors: refusal === '' ? processors : '', reason: refusal === '' ? threadsReason : refusal };
    });
    const nodes = [...new Set(regions.flatMap((region) => region.placement?.nodes ?? []))].sort((a, b) => a - b);
    const reasons = [...located.map((nic) => nic.memoryReason), ...regions.map(notPlaced)].filter((reason) => reason !== '');
    return { nodes: this.found.nodes.length, nics, memory: { nodes, reason: [...new Set(reasons)].join('; ') } };
  }

  #nic(device: string): NativeLocality['nics'][number] | undefined {
    return this.found.nics.find((nic) => nic.device === device);
  }
}

function turnedOff(nic: NativeLocality['nics'][number]): NativeLocality['nics'][number] {
  const reason = `${NUMA_VARIABLE} is off`;
  return { ...nic, processors: '', threadsReason: reason, memoryReason: reason };
}

/** Of a region that is as somebody else made it, or that the kernel would not place. */
function notPlaced({ kind, placement }: Pick<NativeRegion, 'kind' | 'placement'>): string {
  if (placement !== undefined) return placement.refusal;
  if (kind === 'file') return 'files are where the page cache has them';
  if (kind === 'adopted') return 'memory of the program is where it has it';
  return kind === 'device' ? 'memory of accelerators is on none' : '';
}

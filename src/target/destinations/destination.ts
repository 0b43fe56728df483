import type { HostMemory } from '../../locality.js';
import type { NativeRegion } from '../../native.js';
import type { Catalog, CatalogTensor } from '../catalog.js';
import type { PullOutput } from '../options.js';

/** Memory for the tensors of one pull. */
export interface Placement {
  /** What is read, in the order of `at`. */
  readonly tensors: readonly CatalogTensor[];
  /** Index into `regions` and offset there, for each tensor. */
  readonly at: readonly { readonly region: number; readonly offset: bigint }[];
  readonly regions: readonly NativeRegion[];
  /** Who passes bytes on before all have come; hears of the read that counts only. */
  readonly landing?: Landing;
}

/** What is done with a region's bytes while others are still being read. */
export interface Landing {
  /** Index into the placement's regions. */
  readonly region: number;
  /** Bytes of a chunk; the region's last one may be shorter. */
  readonly chunkBytes: number;
  /** These chunks are whole, and were not told before. Returns at once. @throws what went wrong with earlier ones: the read is to end. */
  landed(chunks: Uint32Array): void;
}

/** Model files of the seed, one by one. */
export type FetchFile = (name: string) => AsyncIterable<Buffer>;

/** Where a pull's bytes go. Either `commit` or `abandon` is called at last; `abandon` may also follow a failed commit. */
export interface DestinationWriter {
  /** Checks that the destination can take the catalog and gets the memory, from `memory` where it is new memory of the host. Called once. */
  prepare(catalog: Catalog, memory: HostMemory): Promise<Placement>;
  /** Makes the verified bytes visible, all at once. `progress` counts bytes written, those written before included. */
  commit(
    catalog: Catalog,
    fetchFile: FetchFile | undefined,
    progress: (bytes: bigint) => void,
    signal: AbortSignal | undefined,
  ): Promise<PullOutput>;
  /** Leaves nothing behind. Never throws. */
  abandon(): Promise<void>;
  /** Notes for the result, after `commit`. */
  readonly notes: readonly string[];
}

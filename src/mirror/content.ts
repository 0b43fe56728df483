/** From what a pull read to what a seed serves, with nothing added and nothing lost. */
import type { Region } from '../region.js';
import type { ContentTensor, SeedContent } from '../seed/content.js';
import type { Catalog } from '../target/catalog.js';
import { PAGE, alignUp, layOut, packed } from '../target/destinations/layout.js';

export interface MirrorLayout {
  /** Of each tensor in the region, in the catalog's order. */
  readonly offsets: readonly bigint[];
  readonly bytes: bigint;
}

/**
 * One region: each weight file's data section as it is in the file, then the tensors that are in none, in the source's
 * address order without gaps. So each file, and all the rest together, is one range to register and to publish: peers take
 * no more than some 10 000.
 */
export function placed(catalog: Catalog): MirrorLayout {
  const filed = catalog.tensors.filter((tensor) => tensor.file >= 0);
  const loose = catalog.tensors.filter((tensor) => tensor.file < 0);
  const files = layOut({ ...catalog, tensors: filed });
  const rest = packed(loose, loose.length === 0 ? files.bytes : alignUp(files.bytes, PAGE));
  const ofFile = files.tensors.values();
  const offsets = catalog.tensors.map((tensor) => (tensor.file >= 0 ? ofFile.next().value : rest.offsets.get(tensor)) ?? 0n);
  return { offsets, bytes: rest.end };
}

/**
 * @param region holds the tensors at `offsets`; the content closes it.
 * @param files bytes of the model files that are served, by name.
 */
export function contentOf(catalog: Catalog, region: Region, offsets: readonly bigint[], files: ReadonlyMap<string, Buffer>): SeedContent {
  const tensors = catalog.tensors.map(({ name, dtype, shape, elementSize, bytes, file, fileOffset }, index): ContentTensor => ({
    name,
    dtype,
    shape,
    ...(elementSize !== undefined && { elementSize }),
    bytes,
    region: 0,
    offset: offsets[index] ?? 0n,
    file,
    fileOffset,
  }));
  return {
    regions: [region],
    tensors,
    weightFiles: catalog.weightFiles,
    modelFiles: [...files].map(([name, bytes]) => ({ name, size: BigInt(bytes.length), open: () => Promise.resolve(once(bytes)) })),
    checksums: catalog.tensors.map((tensor) => tensor.checksum),
    close: () => {
      region.close();
    },
  };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** What the seed has: the registry's addresses joined with the seed's own extras, checked against what is expected. */
import { WeightcastError } from '../errors.js';
import type { ModelManifest } from '../metadata/worker/model-manifest.js';
import { parseDtype, tensorBytes, type Dtype } from '../model/dtypes.js';
import { parseHeader } from '../model/safetensors.js';
import type { ExpectedTensor } from './options.js';

/** A tensor as its source tells of it; ModelExpress' `TensorDescriptor` is one. */
export interface PublishedTensor {
  readonly name: string;
  readonly addr: bigint;
  readonly size: bigint;
  /** Any spelling; `''` when the source does not say. */
  readonly dtype: string;
  readonly shape?: readonly number[] | undefined;
  /** Bytes of an element, of sources that say no dtype. */
  readonly elementSize?: number;
}

export interface CatalogTensor {
  readonly name: string;
  /** In the seed's address space. */
  readonly address: bigint;
  readonly bytes: bigint;
  /** `''` when the seed does not say, or says one that this side does not know. */
  readonly dtype: Dtype | '';
  /** `undefined` when the seed does not say. */
  readonly shape: readonly number[] | undefined;
  /** Bytes of an element; `undefined` when the seed says that by the dtype or not at all. */
  readonly elementSize?: number | undefined;
  /** XXH3-64; `undefined` when the seed does not say. */
  readonly checksum: bigint | undefined;
  /** The seed says no checksum: it is that of a first read. */
  readonly readTwice?: true;
  /** Index into {@link Catalog.weightFiles}; -1 for none. */
  readonly file: number;
  readonly fileOffset: bigint;
}

export interface Catalog {
  readonly peer: string;
  readonly tensors: readonly CatalogTensor[];
  readonly weightFiles: ModelManifest['weightFiles'];
  readonly modelFiles: ModelManifest['modelFiles'];
  readonly bytes: bigint;
}

/**
 * Joins what a source tells of its tensors with the manifest, if it has one.
 * @throws ERR_PROTOCOL when the two disagree or cannot be true; the seed may have published anew in between.
 */
export function makeCatalog(peer: string, published: readonly PublishedTensor[], manifest: ModelManifest | undefined): Catalog {
  const details = new Map(manifest?.tensors.map((tensor) => [tensor.name, tensor]));
  const seen = new Set<string>();
  const bad = (name: string, what: string): WeightcastError =>
    new WeightcastError('ERR_PROTOCOL', `${peer} publishes tensor ${name} ${what}`, { peer, tensor: name });
  const tensors = published.map((descriptor): CatalogTensor => {
    const { name, addr: address, size: bytes } = descriptor;
    if (seen.has(name)) throw bad(name, 'twice');
    seen.add(name);
    if (address + bytes > 1n << 64n) throw bad(name, `at ${String(address)} + ${String(bytes)}, past the end of the address space`);
    const detail = details.get(name);
    if (manifest !== undefined && detail === undefined) throw bad(name, 'but its manifest lacks it; it may have published anew, try again');
    if (detail !== undefined && detail.bytes !== bytes) {
      throw bad(name, `with ${String(bytes)} bytes, but its manifest says ${String(detail.bytes)}; it may have published anew, try again`);
    }
    return {
      name,
      address,
      bytes,
      dtype: parseDtype(detail?.dtype ?? descriptor.dtype) ?? '',
      shape: detail?.shape ?? descriptor.shape,
      elementSize: detail?.elementSize ?? descriptor.elementSize,
      checksum: detail?.checksum,
      file: detail?.file ?? -1,
      fileOffset: detail?.offset ?? 0n,
    };
  });
  const catalog: Catalog = {
    peer,
    tensors,
    weightFiles: manifest?.weightFiles ?? [],
    modelFiles: manifest?.modelFiles ?? [],
    bytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n),
  };
  checkFiles(catalog);
  return catalog;
}

/** A seed's file headers are written to disk as they are: they must describe exactly the tensors it publishes. */
function checkFiles(catalog: Catalog): void {
  const { peer } = catalog;
  const byFile = catalog.weightFiles.map(() => new Map<string, CatalogTensor>());
  for (const tensor of catalog.tensors) if (tensor.file >= 0) byFile[tensor.file]?.set(tensor.name, tensor);
  for (const [index, file] of catalog.weightFiles.entries()) {
    const entries = parseHeader(file.header, file.dataBytes, `${file.name} of ${peer}`);
    const published = byFile[index] ?? new Map<string, CatalogTensor>();
    for (const entry of entries) {
      const tensor = published.get(entry.name);
      if (tensor?.fileOffset !== entry.offset || tensor.bytes !== entry.bytes || tensor.dtype !== entry.dtype) {
        throw new WeightcastError(
          'ERR_PROTOCOL',
          `${peer} publishes ${file.name} with a header that differs from its tensors at ${entry.name}`,
          {
            peer,
            tensor: entry.name,
            file: file.name,
          },
        );
      }
    }
    if (entries.length !== published.size) {
      throw new WeightcastError(
        'ERR_PROTOCOL',
        `${peer} publishes ${String(published.size)} tensors of ${file.name}, whose header has ${String(entries.length)}`,
        {
          peer,
          file: file.name,
        },
      );
    }
  }
}

/**
 * The tensors that the target expects, as the seed has them, in the order expected.
 * @throws ERR_TENSOR_MISSING, ERR_TENSOR_SIZE, ERR_TENSOR_DTYPE, ERR_TENSOR_SHAPE, each naming the tensor and both values.
 */
export function matchExpected(catalog: Catalog, expected: readonly ExpectedTensor[]): CatalogTensor[] {
  const byName = new Map(catalog.tensors.map((tensor) => [tensor.name, tensor]));
  return expected.map((want) => {
    const { name } = want;
    const fail = (
      code: 'ERR_TENSOR_MISSING' | 'ERR_TENSOR_SIZE' | 'ERR_TENSOR_DTYPE' | 'ERR_TENSOR_SHAPE',
      what: string,
    ): WeightcastError =>
      new WeightcastError(code, `tensor ${name} ${what} at ${catalog.peer}; seed and target must run the same model and configuration`, {
        tensor: name,
        peer: catalog.peer,
      });
    const tensor = byName.get(name);
    if (tensor === undefined) throw fail('ERR_TENSOR_MISSING', `is expected but not among the ${String(catalog.tensors.length)} tensors`);
    const dtype = want.dtype === undefined ? undefined : parseDtype(want.dtype);
    if (want.dtype !== undefined && dtype === undefined) {
      throw new WeightcastError('ERR_INVALID_ARGUMENT', `pull: tensor ${name} is expected with the unknown dtype ${want.dtype}`, {
        tensor: name,
      });
    }
    if (dtype !== undefined && tensor.dtype !== '' && tensor.dtype !== dtype)
      throw fail('ERR_TENSOR_DTYPE', `is expected as ${dtype} but is ${tensor.dtype}`);
    const bytes = want.bytes ?? (dtype !== undefined && want.shape !== undefined ? tensorBytes(dtype, want.shape) : undefined);
    if (bytes !== undefined && tensor.bytes !== bytes)
      throw fail('ERR_TENSOR_SIZE', `is expected with ${String(bytes)} bytes but has ${String(tensor.bytes)}`);
    if (want.shape !== undefined && tensor.shape !== undefined && !sameShape(want.shape, tensor.shape)) {
      throw fail('ERR_TENSOR_SHAPE', `is expected as [${want.shape.join(', ')}] but is [${tensor.shape.join(', ')}]`);
    }
    return tensor;
  });
}

/** Whether both are the same tensors at the same places, in whatever order. */
export function sameTensors(before: readonly PublishedTensor[], now: readonly PublishedTensor[]): boolean {
  const byName = new Map(now.map((tensor) => [tensor.name, tensor]));
  return (
    byName.size === before.length &&
    before.every(({ name, addr, size }) => {
      const other = byName.get(name);
      return other?.addr === addr && other.size === size;
    })
  );
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, index) => size === b[index]);
}

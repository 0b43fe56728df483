/** The seed's extras: dtype, shape and checksum of each tensor, and the files of the model that are not weights. */
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { checksums } from '../checksum.js';
import { throwIfAborted, toWeightcastError } from '../errors.js';
import type { TensorDescriptor } from '../gen/model_express/p2p.js';
import type { ModelManifest } from '../metadata/worker/model-manifest.js';
import type { SeedContent } from './content.js';

/** XXH3-64 of every tensor, on native threads, in the tensors' order. */
export async function checksumTensors(content: SeedContent, signal: AbortSignal | undefined): Promise<BigUint64Array> {
  throwIfAborted(signal, 'checksum');
  try {
    const regions = content.regions.map((region) => region.handle);
    return await checksums(regions, content.tensors, signal);
  } catch (error) {
    throw toWeightcastError(error, { doing: 'cannot checksum the weights' });
  }
}

/** @param sums - in the tensors' order; `undefined` publishes none. */
export async function manifestOf(content: SeedContent, sums: ArrayLike<bigint | undefined> | undefined): Promise<ModelManifest> {
  const modelFiles = [];
  for (const file of content.modelFiles) {
    const hash = createHash('sha256');
    await pipeline(await file.open(), hash);
    modelFiles.push({ name: file.name, size: file.size, sha256: hash.digest('hex') });
  }
  return {
    weightFiles: content.weightFiles,
    modelFiles,
    tensors: content.tensors.map((tensor, index) => ({
      name: tensor.name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      ...(tensor.elementSize !== undefined && { elementSize: tensor.elementSize }),
      bytes: tensor.bytes,
      checksum: sums?.[index],
      file: tensor.file,
      offset: tensor.fileOffset,
    })),
  };
}

/** What the registry holds of each tensor: where it is in this process. */
export function descriptorsOf(content: SeedContent): TensorDescriptor[] {
  return content.tensors.map((tensor) => ({
    name: tensor.name,
    addr: tensor.bytes === 0n ? 0n : (content.regions[tensor.region]?.address ?? 0n) + tensor.offset,
    size: tensor.bytes,
    deviceId: tensor.bytes === 0n ? 0 : (content.regions[tensor.region]?.handle.device?.ordinal ?? 0),
    dtype: tensor.dtype,
  }));
}

/** The seed's extras: dtype, shape and checksum of each tensor, and the files of the model that are not weights. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { throwIfAborted, toWeightcastError } from '../errors.js';
import type { TensorDescriptor } from '../gen/model_express/p2p.js';
import type { ModelManifest } from '../metadata/worker/model-manifest.js';
import { native } from '../native.js';
import { settled } from '../native-task.js';
import type { SeedContent } from './content.js';

/** XXH3-64 (seed 0) of no bytes; the test vector of the reference implementation. */
const EMPTY_CHECKSUM = 0x2d06800538d394c2n;

/** XXH3-64 of every tensor, on native threads, in the tensors' order. */
export async function checksumTensors(content: SeedContent, signal: AbortSignal | undefined): Promise<BigUint64Array> {
  throwIfAborted(signal, 'checksum');
  const filled = content.tensors.filter((tensor) => tensor.bytes > 0n);
  const task = native().checksum(
    content.regions.map((region) => region.handle),
    Uint32Array.from(filled, (tensor) => tensor.region),
    BigUint64Array.from(filled, (tensor) => tensor.offset),
    BigUint64Array.from(filled, (tensor) => tensor.bytes),
    availableParallelism(),
  );
  try {
    const sums = await settled(task, signal);
    let next = 0;
    return BigUint64Array.from(content.tensors, (tensor) => (tensor.bytes > 0n ? (sums[next++] ?? 0n) : EMPTY_CHECKSUM));
  } catch (error) {
    throw toWeightcastError(error, { doing: 'cannot checksum the weights' });
  }
}

/** @param checksums - in the tensors' order; `undefined` publishes none. */
export async function manifestOf(content: SeedContent, checksums: BigUint64Array | undefined): Promise<ModelManifest> {
  const modelFiles = [];
  for (const file of content.modelFiles) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(file.path), hash);
    modelFiles.push({ name: file.name, size: file.size, sha256: hash.digest('hex') });
  }
  return {
    weightFiles: content.weightFiles,
    modelFiles,
    tensors: content.tensors.map((tensor, index) => ({
      name: tensor.name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      bytes: tensor.bytes,
      checksum: checksums?.[index],
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
    deviceId: 0,
    dtype: tensor.dtype,
  }));
}

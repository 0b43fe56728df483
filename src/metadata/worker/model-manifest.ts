/** What a seed tells beyond ModelExpress: files, shapes, checksums. */

/** Everything that a target needs to lay a model out as its seed has it. */
export interface ModelManifest {
  readonly weightFiles: readonly ManifestWeightFile[];
  /** The small files beside the weights, such as config.json. */
  readonly modelFiles: readonly ManifestModelFile[];
  readonly tensors: readonly ManifestTensor[];
}

export interface ManifestWeightFile {
  readonly name: string;
  /** The safetensors header: JSON text, without the eight bytes of its length. */
  readonly header: Buffer;
  /** Bytes behind the header. */
  readonly dataBytes: bigint;
}

export interface ManifestModelFile {
  readonly name: string;
  /** Bytes. */
  readonly size: bigint;
  /** Lower-case hex; empty when it was not computed. */
  readonly sha256: string;
}

export interface ManifestTensor {
  readonly name: string;
  /** Its safetensors name: `BF16`; empty when it is not known. */
  readonly dtype: string;
  /** `undefined` when it is not known. */
  readonly shape: readonly number[] | undefined;
  /** Bytes of one element, where that is known and the dtype is not. */
  readonly elementSize?: number | undefined;
  readonly bytes: bigint;
  /** XXH3-64, seed 0. */
  readonly checksum: bigint | undefined;
  /** Index into `weightFiles`; -1 when the tensor is in none. */
  readonly file: number;
  /** In that file's data section, bytes. */
  readonly offset: bigint;
}

/**
 * What a seed tells beyond ModelExpress (files, shapes, checksums), in memory, and as the stream of small messages that
 * it travels in.
 */
import { WeightcastError } from '../../errors.js';
import type { ManifestStart, ModelManifestPart, TensorColumns, WeightFile } from '../../gen/weightcast/seed.js';
import { fromColumns, toColumns } from './tensor-columns.js';

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

/** Largest number of tensors in one part: a few milliseconds of work on either side. */
const tensorsPerPart = 4096;

/** Largest piece of a header or file in one message. Bytes. */
export const chunkBytes = 256 * 1024;

/** Largest header that is taken from a peer; the safetensors format has the same limit. Bytes. */
const maxHeaderBytes = 100_000_000n;

/** The parts of a manifest, made one at a time as they are asked for. */
export function* manifestParts({ weightFiles, modelFiles, tensors }: ModelManifest): Generator<ModelManifestPart> {
  const start: ManifestStart = { weightFiles: weightFiles.length, modelFiles: modelFiles.length, tensors: tensors.length };
  yield { part: { $case: 'start', value: start } };
  for (const { name, header, dataBytes } of weightFiles) {
    yield { part: { $case: 'weightFile', value: { name, dataBytes, headerBytes: BigInt(header.length) } } };
    for (const chunk of chunksOf(header)) yield { part: { $case: 'headerChunk', value: chunk } };
  }
  for (let from = 0; from < modelFiles.length; from += tensorsPerPart) {
    yield { part: { $case: 'modelFiles', value: { files: modelFiles.slice(from, from + tensorsPerPart) } } };
  }
  for (let from = 0; from < tensors.length; from += tensorsPerPart) {
    yield { part: { $case: 'tensors', value: toColumns(tensors.slice(from, from + tensorsPerPart)) } };
  }
}

/** Windows of at most {@link chunkBytes} onto `bytes`. */
export function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += chunkBytes) yield bytes.subarray(from, from + chunkBytes);
}

/** Puts a manifest together from its parts, in the order of {@link manifestParts}. */
export class ManifestAssembler {
  readonly #weightFiles: (WeightFile & { readonly chunks: Buffer[]; received: number })[] = [];
  readonly #modelFiles: ManifestModelFile[] = [];
  readonly #tensors: ManifestTensor[] = [];
  #start: ManifestStart | undefined;

  /** @throws ERR_PROTOCOL when the part is not what may follow, or its columns do not fit together. */
  add({ part }: ModelManifestPart): void {
    if (part === undefined) return; // a part of a later version
    if (part.$case === 'start') {
      if (this.#start !== undefined) throw fault('a second start');
      this.#start = part.value;
      return;
    }
    if (this.#start === undefined) throw fault(`${part.$case} before the start`);
    switch (part.$case) {
      case 'weightFile':
        this.#addWeightFile(part.value);
        break;
      case 'headerChunk':
        this.#addHeaderChunk(part.value);
        break;
      case 'modelFiles':
        for (const file of part.value.files) this.#modelFiles.push(file);
        break;
      case 'tensors':
        this.#addTensors(part.value);
        break;
    }
  }

  /** @throws ERR_PROTOCOL when the stream ended before everything that its start announced. */
  finish(): ModelManifest {
    const start = this.#start;
    if (start === undefined) throw fault('it is empty');
    expectCount('weight files', this.#weightFiles.length, start.weightFiles);
    expectCount('model files', this.#modelFiles.length, start.modelFiles);
    expectCount('tensors', this.#tensors.length, start.tensors);
    const weightFiles = this.#weightFiles.map(({ name, dataBytes, headerBytes, chunks }) => {
      const header = Buffer.concat(chunks);
      expectCount(`header bytes of ${name}`, header.length, Number(headerBytes));
      return { name, header, dataBytes };
    });
    return { weightFiles, modelFiles: this.#modelFiles, tensors: this.#tensors };
  }

  #addWeightFile(file: WeightFile): void {
    if (file.headerBytes > maxHeaderBytes) throw fault(`the header of ${file.name} has ${String(file.headerBytes)} bytes`);
    this.#weightFiles.push({ ...file, chunks: [], received: 0 });
  }

  #addHeaderChunk(chunk: Buffer): void {
    const file = this.#weightFiles.at(-1);
    if (file === undefined) throw fault('a header chunk before any weight file');
    file.received += chunk.length;
    if (file.received > Number(file.headerBytes)) throw fault(`the header of ${file.name} is longer than announced`);
    file.chunks.push(chunk);
  }

  #addTensors(columns: TensorColumns): void {
    for (const tensor of fromColumns(columns)) {
      if (tensor.file < -1 || tensor.file >= this.#weightFiles.length) {
        throw fault(`tensor ${tensor.name} is in file ${String(tensor.file)} of ${String(this.#weightFiles.length)}`);
      }
      this.#tensors.push(tensor);
    }
  }
}

function expectCount(what: string, received: number, announced: number): void {
  if (received !== announced) throw fault(`${String(received)} ${what} came where ${String(announced)} were announced`);
}

function fault(reason: string): WeightcastError {
  return new WeightcastError('ERR_PROTOCOL', `the model manifest is broken: ${reason}`);
}

/** A model manifest as the stream of small messages that it travels in. */
import { WeightcastError } from '../../errors.js';
import type { ManifestStart, ModelManifestPart, TensorColumns, WeightFile } from '../../gen/weightcast/seed.js';
import type { ManifestModelFile, ManifestTensor, ModelManifest } from './model-manifest.js';
import { fromColumns, toColumns } from './tensor-columns.js';

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

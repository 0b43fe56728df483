/**
 * The safetensors file format: 8 bytes little-endian header length, a JSON header (name → dtype, shape, data_offsets),
 * then the data section, which the tensors cover without gap and overlap. The rules are those of the reference
 * implementation (Rust crate safetensors 0.8). Stricter here: duplicate keys, dimensions beyond 2^53 - 1 and more than
 * 1024 dimensions are refused.
 */
import { open, stat } from 'node:fs/promises';
import { toWeightcastError } from '../errors.js';
import { maxHeaderBytes, parseHeader } from './header-parse.js';
import { modelInvalid } from './model-error.js';
import type { TensorEntry } from './tensor.js';

export { buildHeader, lengthPrefix } from './header-build.js';
export { maxHeaderBytes, parseHeader } from './header-parse.js';
export { placeTensors, type TensorEntry, type TensorSpec } from './tensor.js';

/** The parts of a safetensors file. */
export interface SafetensorsFile {
  /** The JSON header with its padding, without the 8 length bytes. */
  readonly header: Buffer;
  /** Where the data section begins in the file: 8 + header bytes. */
  readonly dataOffset: bigint;
  readonly dataBytes: bigint;
  /** By offset. */
  readonly tensors: TensorEntry[];
}

/**
 * Reads and checks the header of a file; the data section is not read.
 *
 * @param file The name that errors carry; default: `path`.
 * @throws WeightcastError `ERR_MODEL_INVALID` (see {@link parseHeader}; also for what is no regular file or ends early),
 * `ERR_NOT_FOUND`, `ERR_IO`.
 */
export async function readHeader(path: string, file: string = path): Promise<SafetensorsFile> {
  const read = async (): Promise<SafetensorsFile> => {
    // Before opening: to open a FIFO would wait for a writer.
    if (!(await stat(path)).isFile()) throw modelInvalid(file, undefined, 'is not a regular file');
    const handle = await open(path, 'r');
    try {
      const size = (await handle.stat({ bigint: true })).size;
      const prefix = Buffer.alloc(8);
      if (size < 8n || (await readFully(handle, prefix, 0)) < 8) {
        throw modelInvalid(file, undefined, `${size} bytes are too few for a safetensors file: the first 8 are the header's length`);
      }
      const length = prefix.readBigUInt64LE();
      if (length > BigInt(maxHeaderBytes)) {
        const hint = 'this is no safetensors file, or a damaged one';
        throw modelInvalid(
          file,
          undefined,
          `claims a header of ${length} bytes, more than the format's limit of ${maxHeaderBytes}: ${hint}`,
        );
      }
      if (length > size - 8n) {
        throw modelInvalid(file, undefined, `is cut short: claims a header of ${length} bytes, but has ${size - 8n} after the first 8`);
      }
      const header = Buffer.allocUnsafeSlow(Number(length));
      if ((await readFully(handle, header, 8)) < header.length)
        throw modelInvalid(file, undefined, 'became shorter while its header was read');
      const dataOffset = 8n + length;
      const dataBytes = size - dataOffset;
      return { header, dataOffset, dataBytes, tensors: parseHeader(header, dataBytes, file) };
    } finally {
      await handle.close();
    }
  };
  try {
    return await read();
  } catch (error) {
    throw toWeightcastError(error, { doing: `cannot read the safetensors header of ${file}`, file });
  }
}

async function readFully(
  handle: { read(into: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }> },
  into: Buffer,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

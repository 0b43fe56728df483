/** Reading of safetensors headers, which come from anywhere: nothing in them is believed before it is checked. */
import { isDtype, dtypes, tensorBytes } from './dtypes.js';
import { JsonCursor, decodeUtf8 } from './json-cursor.js';
import { modelInvalid, quote } from './model-error.js';
import type { TensorEntry } from './tensor.js';

/** Bytes; the reference implementation refuses larger headers too. */
export const maxHeaderBytes = 100_000_000;
const maxDimensions = 1024;

/**
 * The tensors of a header, by offset (empty ones of the same offset in header order).
 *
 * @param header JSON header without the 8 length bytes.
 * @param dataBytes Bytes of the data section.
 * @param file The name that errors carry.
 * @throws WeightcastError `ERR_MODEL_INVALID` with `file`, and `tensor` where one is at fault, for everything that is
 * not a valid header of such a data section.
 */
export function parseHeader(header: Buffer, dataBytes: bigint, file: string): TensorEntry[] {
  let tensor: string | undefined;
  const fail = (what: string): never => {
    throw modelInvalid(file, tensor, what);
  };
  if (header.length > maxHeaderBytes) fail(`the header of ${header.length} bytes exceeds the format's limit of ${maxHeaderBytes}`);
  const json = new JsonCursor(decodeUtf8(header, fail), fail);
  const entries: TensorEntry[] = [];
  json.object((key) => {
    if (key === '__metadata__') {
      parseMetadata(json);
      return;
    }
    tensor = key;
    entries.push(parseTensor(json, key, dataBytes, fail));
    tensor = undefined;
  });
  json.end();
  entries.sort((a, b) => compare(a.offset, b.offset) || compare(a.bytes, b.bytes));
  checkCoverage(entries, dataBytes, file);
  return entries;
}

function parseMetadata(json: JsonCursor): void {
  if (json.peek() === 'null') json.skip();
  else json.object(() => json.string());
}

function parseTensor(json: JsonCursor, name: string, dataBytes: bigint, fail: (what: string) => never): TensorEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: bigint[] | undefined;
  json.object((key) => {
    if (key === 'dtype') dtype = json.string();
    else if (key === 'shape') shape = parseShape(json, fail);
    else if (key === 'data_offsets') offsets = parseOffsets(json, fail);
    else json.skip();
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    return fail(`lacks ${dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : 'data_offsets'}`);
  }
  if (!isDtype(dtype)) return fail(`unknown dtype ${quote(dtype)}: the format has ${dtypes.join(', ')}`);
  const [begin = 0n, end = 0n] = offsets;
  if (begin > end) fail(`data_offsets [${begin}, ${end}] end before they begin`);
  if (end > dataBytes) fail(`ends at byte ${end} of the data section, which has only ${dataBytes}: the file is cut short or damaged`);
  let bytes: bigint;
  try {
    bytes = tensorBytes(dtype, shape);
  } catch (error) {
    return fail((error as Error).message);
  }
  if (end - begin !== bytes) {
    fail(`data_offsets [${begin}, ${end}] hold ${end - begin} bytes, but ${dtype} [${shape.slice(0, 16).join(', ')}] takes ${bytes}`);
  }
  return { name, dtype, shape, bytes, offset: begin };
}

function parseShape(json: JsonCursor, fail: (what: string) => never): number[] {
  const shape: number[] = [];
  json.array((index) => {
    if (index >= maxDimensions) fail(`has more than ${maxDimensions} dimensions`);
    const dimension = json.unsigned();
    if (dimension > BigInt(Number.MAX_SAFE_INTEGER)) fail(`dimension ${dimension} exceeds 2^53 - 1`);
    shape.push(Number(dimension));
  });
  return shape;
}

function parseOffsets(json: JsonCursor, fail: (what: string) => never): bigint[] {
  const offsets: bigint[] = [];
  json.array((index) => {
    if (index >= 2) fail('data_offsets has more than two numbers');
    offsets.push(json.unsigned());
  });
  if (offsets.length !== 2) fail(`data_offsets has ${offsets.length} numbers, not two`);
  return offsets;
}

/** `entries` by offset: each must begin where the one before ends, the last end with the data. */
function checkCoverage(entries: readonly TensorEntry[], dataBytes: bigint, file: string): void {
  let covered = 0n;
  let before: string | undefined;
  for (const { name, offset, bytes } of entries) {
    const neighbour = before === undefined ? 'the beginning of the data section' : `tensor ${quote(before)}`;
    if (offset < covered) throw modelInvalid(file, name, `begins at byte ${offset}, inside of ${neighbour}, which ends at ${covered}`);
    if (offset > covered)
      throw modelInvalid(file, name, `begins at byte ${offset}, ${offset - covered} bytes after ${neighbour}: the format allows no gaps`);
    covered = offset + bytes;
    before = name;
  }
  if (covered !== dataBytes) {
    throw modelInvalid(
      file,
      undefined,
      `${dataBytes - covered} bytes at the end of the data section belong to no tensor: the file is damaged`,
    );
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Writing of safetensors headers. */
import { WeightcastError } from '../errors.js';
import { isDtype } from './dtypes.js';
import { maxHeaderBytes } from './header-parse.js';
import { quote } from './model-error.js';
import type { TensorEntry } from './tensor.js';

const metadataKey = '__metadata__';

/**
 * A JSON header, padded with spaces so that 8 + its length (where the data section begins) is a multiple of `alignment`.
 * To be preceded in the file by {@link lengthPrefix}.
 *
 * @param metadata Goes under `__metadata__`.
 * @param alignment Bytes, a multiple of 8; default 8.
 * @throws WeightcastError `ERR_INVALID_ARGUMENT` for duplicate names, a tensor called `__metadata__`, names that are not
 * well-formed Unicode, unknown dtypes, and more than 100 000 000 bytes.
 */
export function buildHeader(tensors: readonly TensorEntry[], metadata?: Readonly<Record<string, string>>, alignment = 8): Buffer {
  if (!Number.isSafeInteger(alignment) || alignment < 8 || alignment % 8 !== 0) {
    throw badArgument(`expected a multiple of 8 for alignment but received ${alignment}`);
  }
  const names = new Set<string>([metadataKey]);
  const members = tensors.map(({ name, dtype, shape, bytes, offset }) => {
    if (names.has(name)) throw badArgument(`${quote(name)} cannot be the name of a tensor: it is reserved or already taken`);
    if (/\p{Surrogate}/u.test(name)) throw badArgument(`the name ${quote(name)} is not well-formed Unicode`);
    if (!isDtype(dtype)) throw badArgument(`the dtype ${quote(dtype)} of ${quote(name)} is not one of the format`);
    names.add(name);
    const place = `[${offset},${offset + bytes}]`;
    return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${place}}`;
  });
  if (metadata !== undefined) members.unshift(`"${metadataKey}":${JSON.stringify(metadata)}`);
  const json = Buffer.from(`{${members.join(',')}}`, 'utf8');
  const padding = (alignment - ((8 + json.length) % alignment)) % alignment;
  if (json.length + padding > maxHeaderBytes)
    throw badArgument(`${tensors.length} tensors make a header larger than ${maxHeaderBytes} bytes`);
  return Buffer.concat([json, Buffer.alloc(padding, ' ')]);
}

/** The 8 bytes that precede a header in the file. */
export function lengthPrefix(header: Buffer): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return prefix;
}

function badArgument(what: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', `buildHeader: ${what}`);
}

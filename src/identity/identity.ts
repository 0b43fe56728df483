/** Filling in and decoding of `SourceIdentity`. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { SourceIdentity } from '../gen/model_express/p2p.js';

/**
 * Absent fields become their proto3 defaults. Unlike the generated `fromPartial` it keeps every key of
 * `extraParameters`, `__proto__` included.
 */
export function completeIdentity(identity: Partial<SourceIdentity>): SourceIdentity {
  const complete: SourceIdentity = SourceIdentity.create();
  for (const [field, value] of Object.entries(identity) as [string, unknown][]) {
    if (value !== undefined) Object.assign(complete, { [field]: value });
  }
  return complete;
}

const extraParametersField = 10;

/**
 * Decodes a `SourceIdentity` message. The generated decoder assigns map keys, which loses the key `__proto__`; a source
 * id is a hash over all of them, so that key is put back here.
 *
 * @throws RangeError or Error when the bytes are no protobuf message.
 */
export function decodeIdentity(bytes: Buffer): SourceIdentity {
  const identity = SourceIdentity.decode(bytes);
  if (!bytes.includes('__proto__')) return identity;
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== extraParametersField || wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
    else defineEntry(identity.extraParameters, reader.bytes());
  }
  return identity;
}

function defineEntry(parameters: Record<string, string>, entry: Uint8Array): void {
  let key = '';
  let value = '';
  const reader = new BinaryReader(entry);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) key = reader.string();
    else if (field === 2 && wireType === WireType.LengthDelimited) value = reader.string();
    else reader.skip(wireType, field);
  }
  Object.defineProperty(parameters, key, { value, enumerable: true, configurable: true, writable: true });
}

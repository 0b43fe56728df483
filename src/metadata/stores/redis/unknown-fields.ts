/**
 * Fields of later versions of a message. ModelExpress' JSON has no place for them; they stand in a member of our own, which its readers
 * ignore, and only where there are any.
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { JsonReader } from './json-reader.js';

/** Name of the member: protobuf fields one after the other, in base64. */
export const unknownFieldsMember = 'weightcast_unknown_fields';

const nothing: Buffer = Buffer.alloc(0);

/** All fields of a message whose numbers are not among `known`, as they came. */
export function unknownFields(message: Uint8Array, known: ReadonlySet<number>): Buffer {
  const parts: Uint8Array[] = [];
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wireType] = reader.tag();
    reader.skip(wireType, field);
    if (!known.has(field)) parts.push(message.subarray(start, reader.pos));
  }
  return parts.length === 0 ? nothing : Buffer.concat(parts);
}

/** The member with a comma before it; nothing when there are no such fields. */
export function unknownFieldsJson(fields: Buffer): string {
  return fields.length === 0 ? '' : `,"${unknownFieldsMember}":"${fields.toString('base64')}"`;
}

export function readUnknownFields(json: JsonReader): Buffer {
  return Buffer.from(json.string(), 'base64');
}

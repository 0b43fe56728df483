/**
 * Lists of tensor descriptors, encoded. The canonical form, called "entries", is what `TensorSourceMetadata` looks like
 * on the wire: a tag byte of field 1, length, descriptor, and so on. `WorkerMetadata` holds the same list under
 * field 3; between the two only the tag bytes differ.
 *
 * Decoding 100 000 descriptors at once would hold the event loop for about 100 ms, so that batches are decoded and
 * encoded, with other work in between.
 */
import { setImmediate } from 'node:timers/promises';
import { WireType } from '@bufbuild/protobuf/wire';
import { type TensorDescriptor, TensorSourceMetadata } from '../../gen/model_express/p2p.js';
import { FieldReader } from './fields.js';

const batchTensors = 4096;

/** Tag byte of `TensorSourceMetadata.tensors`. */
const canonicalTag = 0x0a;

/** Tag byte of the older list, `WorkerMetadata.tensors`. */
export const legacyTag = 0x1a;

/** Copies the descriptors under `field` of a message out, as entries. Everything else is left behind. */
export function collectEntries(message: Buffer, field: number): { entries: Buffer; count: number } {
  // A tag takes at least one byte, so that the entries never need more room than the message.
  const collected = Buffer.allocUnsafe(message.length);
  let length = 0;
  let count = 0;
  const reader = new FieldReader(message);
  while (reader.next()) {
    if (reader.field !== field || reader.wireType !== WireType.LengthDelimited) continue;
    collected[length] = canonicalTag;
    length += 1 + message.copy(collected, length + 1, reader.afterTag, reader.end);
    count++;
  }
  return { entries: length === collected.length ? collected : Buffer.from(collected.subarray(0, length)), count };
}

/** A copy of `entries` with another one-byte tag before each descriptor. */
export function retag(entries: Buffer, tag: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(entries.length);
  entries.copy(copy);
  let at = 0;
  while (at < copy.length) {
    copy[at++] = tag;
    // The length, seven bits a byte, lowest first; the last byte has no highest bit.
    let length = 0;
    let factor = 1;
    let byte: number;
    do {
      byte = copy[at++] ?? 0;
      length += (byte & 0x7f) * factor;
      factor *= 128;
    } while (byte >= 0x80);
    at += length;
  }
  return copy;
}

/** Encodes descriptors as entries, in batches. */
export async function encodeEntries(tensors: readonly TensorDescriptor[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let from = 0; from < tensors.length; from += batchTensors) {
    if (from > 0) await setImmediate();
    parts.push(TensorSourceMetadata.encode({ tensors: tensors.slice(from, from + batchTensors) }).finish());
  }
  return Buffer.concat(parts);
}

/** Decodes entries, in batches. */
export async function decodeEntries(entries: Buffer): Promise<TensorDescriptor[]> {
  const tensors: TensorDescriptor[] = [];
  const reader = new FieldReader(entries);
  let from = 0;
  let count = 0;
  const take = (): void => {
    for (const tensor of TensorSourceMetadata.decode(entries.subarray(from, reader.end)).tensors) tensors.push(tensor);
    from = reader.end;
  };
  while (reader.next()) {
    if (++count % batchTensors !== 0) continue;
    take();
    await setImmediate();
  }
  take();
  return tensors;
}

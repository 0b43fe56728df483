/**
 * Tensor lists: protobuf entries (`wire/tensor-entries.ts`) on one side, JSON on the other. A list of 50 000 takes about 100 ms either
 * way, so that it is done in batches with other work in between.
 */
import { setImmediate } from 'node:timers/promises';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { TensorDescriptor, TensorSourceMetadata } from '../../../gen/model_express/p2p.js';
import { field } from '../../wire/fields.js';
import type { JsonReader } from './json-reader.js';
import { uint32Max } from './numbers.js';
import { readUnknownFields, unknownFields, unknownFieldsJson, unknownFieldsMember } from './unknown-fields.js';

const batchTensors = 2048;

const knownFields: ReadonlySet<number> = new Set([1, 2, 3, 4, 5]);

const nothing: Buffer = Buffer.alloc(0);

/** A JSON array in UTF-8, in parts. */
export async function encodeTensors(entries: Buffer): Promise<Buffer[]> {
  const parts = [Buffer.from('[')];
  const reader = new BinaryReader(entries);
  let batch: string[] = [];
  while (reader.pos < reader.len) {
    const [, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) throw new Error('the tensor list is no list of descriptors');
    batch.push(tensorJson(reader.bytes()));
    if (batch.length < batchTensors && reader.pos < reader.len) continue;
    parts.push(Buffer.from(batch.join(',') + (reader.pos < reader.len ? ',' : '')));
    batch = [];
    if (reader.pos < reader.len) await setImmediate();
  }
  parts.push(Buffer.from(']'));
  return parts;
}

function tensorJson(descriptor: Uint8Array): string {
  const { name, addr, size, deviceId, dtype } = TensorDescriptor.decode(descriptor);
  return (
    `{"name":${JSON.stringify(name)},"addr":"${String(addr)}","size":"${String(size)}",` +
    `"device_id":${String(deviceId)},"dtype":${JSON.stringify(dtype)}${unknownFieldsJson(unknownFields(descriptor, knownFields))}}`
  );
}

/** Reads a JSON array into entries. All members of a tensor but those of our own are required. */
export async function readTensors(json: JsonReader): Promise<{ entries: Buffer; count: number }> {
  const parts: Uint8Array[] = [];
  let batch: TensorDescriptor[] = [];
  let count = 0;
  const encodeBatch = (): void => {
    parts.push(TensorSourceMetadata.encode({ tensors: batch }).finish());
    batch = [];
  };
  json.openArray();
  while (json.element()) {
    const { tensor, unknown } = readTensor(json);
    count++;
    if (unknown.length === 0) {
      batch.push(tensor);
    } else {
      encodeBatch();
      parts.push(...field(1, [Buffer.concat([TensorDescriptor.encode(tensor).finish(), unknown])]));
    }
    if (count % batchTensors !== 0) continue;
    encodeBatch();
    await setImmediate();
  }
  encodeBatch();
  return { entries: Buffer.concat(parts), count };
}

function readTensor(json: JsonReader): { tensor: TensorDescriptor; unknown: Buffer } {
  let name: string | undefined;
  let addr: bigint | undefined;
  let size: bigint | undefined;
  let deviceId: number | undefined;
  let dtype: string | undefined;
  let unknown = nothing;
  json.openObject();
  for (let key = json.key(); key !== undefined; key = json.key()) {
    if (key === 'name') name = json.string();
    else if (key === 'addr') addr = json.uint64();
    else if (key === 'size') size = json.uint64();
    else if (key === 'device_id') deviceId = json.integer(0, uint32Max);
    else if (key === 'dtype') dtype = json.string();
    else if (key === unknownFieldsMember) unknown = unknownFields(readUnknownFields(json), knownFields);
    else json.skip();
  }
  if (name === undefined || addr === undefined || size === undefined || deviceId === undefined || dtype === undefined) {
    throw new SyntaxError('a tensor lacks name, addr, size, device_id or dtype');
  }
  return { tensor: { name, addr, size, deviceId, dtype }, unknown };
}

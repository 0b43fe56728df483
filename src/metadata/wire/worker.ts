/**
 * `WorkerMetadata` as the server keeps it. Its tensor list may be tens of megabytes that the server never looks into, so
 * that it stays encoded: only the few fields that listing needs are read.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { SourceStatus, WorkerMetadata } from '../../gen/model_express/p2p.js';
import type { WorkerPayload, WorkerRecord } from '../stores/store.js';
import { field, FieldReader, merge } from './fields.js';
import { LegacyLists } from './legacy-lists.js';
import { collectEntries } from './tensor-entries.js';

const Field = {
  workerRank: 1,
  nixlMetadata: 2,
  tensors: 3,
  status: 4,
  updatedAt: 5,
  transferEngineSessionId: 10,
  tensorSource: 20,
  artifactSource: 21,
} as const;

const varintFields: readonly number[] = [Field.workerRank, Field.status, Field.updatedAt];

/** Fields 6 to 9 and 11 (endpoints, agent, accelerator, topology) and the members of both oneofs. */
const delimitedFields: readonly number[] = [2, 3, 6, 7, 8, 9, 10, 11, 20, 21];

/**
 * Parses a published worker into the form that is stored. Of `tensors` and `tensor_source` the newer wins; an artifact
 * has no tensors. Fields of later versions are kept; a known field of a wrong wire type is dropped.
 *
 * @throws RangeError or Error when the bytes are no protobuf message.
 */
export function parseWorker(message: Buffer): WorkerRecord {
  const envelope: Buffer[] = [];
  let backend: Buffer | undefined;
  let payload: { field: number; parts: Buffer[] } | undefined;
  const live: Buffer[] = [];
  const reader = new FieldReader(message);
  while (reader.next()) {
    if (isMistyped(reader)) continue;
    switch (reader.field) {
      case Field.nixlMetadata:
      case Field.transferEngineSessionId:
        backend = reader.raw();
        break;
      case Field.tensors:
        break;
      case Field.status:
      case Field.updatedAt:
        live.push(reader.raw());
        break;
      case Field.tensorSource:
      case Field.artifactSource:
        if (payload?.field !== reader.field) payload = { field: reader.field, parts: [] };
        payload.parts.push(reader.bytes());
        break;
      default:
        envelope.push(reader.raw());
    }
  }
  if (backend !== undefined) envelope.push(backend);
  // A copy, so that a small envelope does not keep the whole received message alive.
  const kept = Buffer.concat(envelope);
  const { workerRank, status, updatedAt, accelerator, topology } = WorkerMetadata.decode(Buffer.concat([kept, ...live]));
  return { workerRank, status, updatedAt, accelerator, topology, envelope: kept, payload: parsePayload(message, payload) };
}

function parsePayload(message: Buffer, payload: { field: number; parts: Buffer[] } | undefined): WorkerPayload {
  if (payload === undefined) return { kind: 'tensors', ...collectEntries(message, Field.tensors) };
  const value = merge(payload.parts) ?? Buffer.alloc(0);
  if (payload.field === Field.artifactSource) return { kind: 'artifact', message: Buffer.from(value) };
  return { kind: 'tensors', ...collectEntries(value, 1) };
}

function isMistyped({ field: number, wireType }: FieldReader): boolean {
  if (varintFields.includes(number)) return wireType !== WireType.Varint;
  return delimitedFields.includes(number) && wireType !== WireType.LengthDelimited;
}

/**
 * The stored worker as `WorkerMetadata` on the wire, in parts: an artifact with its payload only, any other with the
 * tensor list under both fields; `tensor_source` is present even when the list is empty.
 */
export function renderWorker(record: WorkerRecord): Buffer[] {
  return [record.envelope, renderLiveFields(record), ...renderPayload(record.payload)];
}

/** The same with its tensors under `tensor_source` only: what a store keeps, and {@link parseWorker} reads. */
export function renderStored(record: WorkerRecord): Buffer[] {
  const { payload } = record;
  const kept = payload.kind === 'artifact' ? field(Field.artifactSource, [payload.message]) : field(Field.tensorSource, [payload.entries]);
  return [record.envelope, renderLiveFields(record), ...kept];
}

function renderLiveFields({ status, updatedAt }: WorkerRecord): Buffer {
  const writer = new BinaryWriter();
  if (status !== SourceStatus.SOURCE_STATUS_UNKNOWN) writer.tag(Field.status, WireType.Varint).int32(status);
  if (updatedAt !== 0n) writer.tag(Field.updatedAt, WireType.Varint).int64(updatedAt);
  return Buffer.from(writer.finish());
}

/** About 60 workers of 50 000 tensors. */
const legacyLists = new LegacyLists(256 * 1024 * 1024);

function renderPayload(payload: WorkerPayload): Buffer[] {
  if (payload.kind === 'artifact') return field(Field.artifactSource, [payload.message]);
  return [legacyLists.of(payload), ...field(Field.tensorSource, [payload.entries])];
}

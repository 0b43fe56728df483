/** Values of the durable store. Each begins with a version and a checksum: LevelDB checks neither what it reads nor who wrote it. */
import { crc32 } from 'node:zlib';
import { UpdateStatusRequest } from '../../../gen/model_express/p2p.js';
import { decodeIdentity } from '../../../identity/index.js';
import { sourceAttributes } from '../../server/semantics/attributes.js';
import { parseWorker, renderStored } from '../../wire/worker.js';
import type { SourceAttributes, WorkerRecord } from '../store.js';

const version = 1;
const headerBytes = 5;

/** What heartbeats change, apart from the record, which may be megabytes. */
export type Live = Pick<WorkerRecord, 'status' | 'updatedAt' | 'sourceLoad'>;

/** Its value is the time, and then the heartbeat as it came. */
const timeBytes = 8;

/** The identity as it was published; everything else follows from it. */
export function encodeSource(source: SourceAttributes): Buffer {
  return seal([source.identity]);
}

/** @throws Error for a damaged value. */
export function decodeSource(value: Buffer): SourceAttributes {
  const identity = Buffer.from(unseal(value));
  return sourceAttributes(decodeIdentity(identity), identity);
}

/** A `WorkerMetadata` message. */
export function encodeRecord(record: WorkerRecord): Buffer {
  return seal(renderStored(record));
}

/** @throws Error for a damaged value. */
export function decodeRecord(value: Buffer): WorkerRecord {
  return parseWorker(unseal(value));
}

export function encodeLive({ status, updatedAt, sourceLoad }: Live): Buffer {
  const time = Buffer.alloc(timeBytes);
  time.writeBigInt64BE(updatedAt);
  const update = UpdateStatusRequest.encode({ ...UpdateStatusRequest.create(), status, sourceLoad }).finish();
  return seal([time, Buffer.from(update)]);
}

/** @throws Error for a damaged value. */
export function decodeLive(value: Buffer): Live {
  const body = unseal(value);
  const { status, sourceLoad } = UpdateStatusRequest.decode(body.subarray(timeBytes));
  return { status, updatedAt: body.readBigInt64BE(), sourceLoad };
}

export function encodeRank(rank: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(rank);
  return seal([body]);
}

/** @throws Error for a damaged value. */
export function decodeRank(value: Buffer): number {
  return unseal(value).readUInt32BE();
}

function seal(body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(version);
  const sealed = Buffer.concat([header, ...body]);
  sealed.writeUInt32BE(crc32(sealed.subarray(headerBytes)), 1);
  return sealed;
}

function unseal(value: Buffer): Buffer {
  if (value.length < headerBytes) throw new Error(`it is cut short (${String(value.length)} bytes)`);
  if (value[0] !== version) throw new Error(`it has version ${String(value[0])}; this release reads version ${String(version)}`);
  const body = value.subarray(headerBytes);
  if (crc32(body) !== value.readUInt32BE(1)) throw new Error('its checksum is wrong');
  return body;
}

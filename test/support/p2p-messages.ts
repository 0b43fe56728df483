/** Messages and requests of P2pService that tests are made of. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  ListSourcesRequest,
  PublishMetadataRequest,
  SourceStatus,
  type TensorDescriptor,
  UpdateStatusRequest,
  WorkerMetadata,
} from '#src/gen/model_express/p2p.js';
import { completeIdentity, type SourceIdentity } from '#src/identity/index.js';

export const {
  SOURCE_STATUS_UNKNOWN: UNKNOWN,
  SOURCE_STATUS_INITIALIZING: INITIALIZING,
  SOURCE_STATUS_READY: READY,
  SOURCE_STATUS_STALE: STALE,
} = SourceStatus;

/** Numbers that are no status which we know, as they come from the wire. */
export function unknownStatuses(...numbers: number[]): SourceStatus[] {
  return numbers.map((number) => UpdateStatusRequest.decode(new BinaryWriter().tag(3, WireType.Varint).int32(number).finish()).status);
}

export const identity = completeIdentity({ modelName: 'Test/Model', tensorParallelSize: 2 });

/** The test identity with these extra parameters. */
export function withParameters(extraParameters: Record<string, string>): SourceIdentity {
  return { ...identity, extraParameters };
}

export function tensor(index: number): TensorDescriptor {
  return { name: `layers.${String(index)}.weight`, addr: (1n << 47n) + BigInt(index) * 64n, size: 64n, deviceId: 0, dtype: 'BF16' };
}

export function tensors(count: number): TensorDescriptor[] {
  return Array.from({ length: count }, (_, index) => tensor(index));
}

export function worker(fields: Partial<WorkerMetadata> = {}): WorkerMetadata {
  return { ...WorkerMetadata.create(), ...fields };
}

export function encodeWorkerMessage(fields: Partial<WorkerMetadata>): Buffer {
  return Buffer.from(WorkerMetadata.encode(worker(fields)).finish());
}

export function publishRequest(fields: Partial<PublishMetadataRequest>): Buffer {
  return Buffer.from(PublishMetadataRequest.encode({ ...PublishMetadataRequest.create(), ...fields }).finish());
}

export function listRequest(query: Partial<ListSourcesRequest>): Buffer {
  return Buffer.from(ListSourcesRequest.encode({ ...ListSourcesRequest.create(), ...query }).finish());
}

/** A length-delimited field, encoded. */
export function lengthDelimited(field: number, value: Uint8Array): Buffer {
  return Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(value).finish());
}

/** Messages and requests that the tests of this folder are made of. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  GetMetadataResponse,
  ListSourcesRequest,
  PublishMetadataRequest,
  type SourceInstanceRef,
  SourceStatus,
  type TensorDescriptor,
  UpdateStatusRequest,
  WorkerMetadata,
} from '#src/gen/model_express/p2p.js';
import { completeIdentity, type SourceIdentity } from '#src/identity/index.js';
import { publishMetadata } from '#src/metadata/server/semantics/publish.js';
import { listSources } from '#src/metadata/server/semantics/list.js';
import { getMetadata } from '#src/metadata/server/semantics/get.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';

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

export function publishRequest(fields: { identity?: SourceIdentity; worker?: WorkerMetadata; workerId?: string }): Buffer {
  const request = { ...PublishMetadataRequest.create(), ...fields };
  return Buffer.from(PublishMetadataRequest.encode(request).finish());
}

/** Publishes and gives the source id. */
export async function publish(
  store: MetadataStore,
  workerId: string,
  fields: Partial<WorkerMetadata> = {},
  of: Partial<SourceIdentity> = identity,
): Promise<string> {
  const reply = await publishMetadata(store, publishRequest({ identity: completeIdentity(of), worker: worker(fields), workerId }));
  if (!reply.success) throw new Error(reply.message);
  return reply.mxSourceId;
}

export async function list(store: MetadataStore, query: Partial<ListSourcesRequest>, now = 1_000_000): Promise<SourceInstanceRef[]> {
  const request = Buffer.from(ListSourcesRequest.encode({ ...ListSourcesRequest.create(), ...query }).finish());
  return (await listSources(store, request, now, 90_000)).instances;
}

export async function get(store: MetadataStore, mxSourceId: string, workerId: string): Promise<GetMetadataResponse> {
  return GetMetadataResponse.decode(await getMetadata(store, { mxSourceId, workerId }));
}

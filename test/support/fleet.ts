/** A store with workers in it, for tests of what is shown of them. */
import { PublishMetadataRequest, SourceStatus, WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { completeIdentity, type SourceIdentity } from '#src/identity/index.js';
import { publishMetadata } from '#src/metadata/server/semantics/publish.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';

export const {
  SOURCE_STATUS_UNKNOWN: UNKNOWN,
  SOURCE_STATUS_INITIALIZING: INITIALIZING,
  SOURCE_STATUS_READY: READY,
  SOURCE_STATUS_STALE: STALE,
} = SourceStatus;

/** Publishes a worker as a client does, and gives its source id. */
export async function publish(
  store: MetadataStore,
  workerId: string,
  worker: Partial<WorkerMetadata> = {},
  identity: Partial<SourceIdentity> = { modelName: 'Test/Model' },
): Promise<string> {
  const request = PublishMetadataRequest.encode({
    ...PublishMetadataRequest.create(),
    identity: completeIdentity(identity),
    worker: { ...WorkerMetadata.create(), status: READY, ...worker },
    workerId,
  });
  const { reply } = await publishMetadata(store, Buffer.from(request.finish()));
  if (!reply.success) throw new Error(reply.message);
  return reply.mxSourceId;
}

/** A payload of so many tensors of so many bytes each. */
export function tensorSource(count: number, size: bigint): Pick<WorkerMetadata, 'sourcePayload'> {
  const tensors = Array.from({ length: count }, (_, index) => ({
    name: `model.layers.${String(index)}.mlp.down_proj.weight`,
    addr: (1n << 47n) + BigInt(index) * 4096n,
    size,
    deviceId: 1,
    dtype: 'BF16',
  }));
  return { sourcePayload: { $case: 'tensorSource', value: { tensors } } };
}

/** The calls of the server's semantics over a store, for the tests of this folder. */
import {
  GetMetadataResponse,
  type ListSourcesRequest,
  ListSourcesResponse,
  type SourceInstanceRef,
  type WorkerMetadata,
} from '#src/gen/model_express/p2p.js';
import { completeIdentity, type SourceIdentity } from '#src/identity/index.js';
import { publishMetadata } from '#src/metadata/server/semantics/publish.js';
import { listSources } from '#src/metadata/server/semantics/list.js';
import { getMetadata } from '#src/metadata/server/semantics/get.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { identity, listRequest, publishRequest, worker } from '../../support/p2p-messages.js';

export * from '../../support/p2p-messages.js';

/** Publishes and gives the source id. */
export async function publish(
  store: MetadataStore,
  workerId: string,
  fields: Partial<WorkerMetadata> = {},
  of: Partial<SourceIdentity> = identity,
): Promise<string> {
  const { reply } = await publishMetadata(store, publishRequest({ identity: completeIdentity(of), worker: worker(fields), workerId }));
  if (!reply.success) throw new Error(reply.message);
  return reply.mxSourceId;
}

export async function list(store: MetadataStore, query: Partial<ListSourcesRequest>, now = 1_000_000): Promise<SourceInstanceRef[]> {
  return ListSourcesResponse.decode((await listSources(store, listRequest(query), now, 90_000)).reply.toBuffer()).instances;
}

export async function get(store: MetadataStore, mxSourceId: string, workerId: string): Promise<GetMetadataResponse> {
  return GetMetadataResponse.decode((await getMetadata(store, { mxSourceId, workerId })).reply.toBuffer());
}

/** P2pService as a test calls it: over a store, or over the wire. */
import {
  type GetMetadataRequest,
  GetMetadataResponse,
  type ListSourcesRequest,
  ListSourcesResponse,
  type PublishMetadataResponse,
  type SourceInstanceRef,
  UpdateStatusRequest,
  type UpdateStatusResponse,
  type WorkerMetadata,
} from '#src/gen/model_express/p2p.js';
import { completeIdentity, type SourceIdentity } from '#src/identity/index.js';
import { getMetadata } from '#src/metadata/server/semantics/get.js';
import { listSources } from '#src/metadata/server/semantics/list.js';
import { publishMetadata } from '#src/metadata/server/semantics/publish.js';
import { updateStatus } from '#src/metadata/server/semantics/update-status.js';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { identity, listRequest, publishRequest, worker } from './p2p-messages.js';

/** The four calls as the server under test answers them; messages that it keeps as bytes are bytes here. */
export interface P2pCalls {
  /** What the server takes for now, in unix milliseconds; a test sets it. Its heartbeat time-out is 90 s. */
  readonly clock: { now: number };
  publish(request: Buffer): Promise<PublishMetadataResponse>;
  list(request: Buffer): Promise<Uint8Array>;
  get(request: GetMetadataRequest): Promise<Uint8Array>;
  update(request: UpdateStatusRequest): Promise<UpdateStatusResponse>;
}

export const heartbeatTimeoutMs = 90_000;

/** The server's semantics over a store, without a wire. */
export function callsOn(store: MetadataStore, clock = { now: 1_700_000_000_000 }): P2pCalls {
  return {
    clock,
    publish: async (request) => (await publishMetadata(store, request)).reply,
    list: async (request) => (await listSources(store, request, clock.now, heartbeatTimeoutMs)).reply.toBuffer(),
    get: async (request) => (await getMetadata(store, request)).reply.toBuffer(),
    update: async (request) => (await updateStatus(store, request, clock.now)).reply,
  };
}

/** The calls with objects for messages. */
export class Peer {
  readonly clock: { now: number };
  readonly calls: P2pCalls;

  constructor(calls: P2pCalls) {
    this.calls = calls;
    this.clock = calls.clock;
  }

  /** The server's now as a message carries it, moved by `ms`. */
  at(ms = 0): bigint {
    return BigInt(this.clock.now + ms);
  }

  /** Publishes and gives the source id; fails when the publication is refused. */
  async publish(workerId: string, fields: Partial<WorkerMetadata> = {}, of: Partial<SourceIdentity> = identity): Promise<string> {
    const request = publishRequest({ identity: completeIdentity(of), worker: worker(fields), workerId });
    const reply = await this.calls.publish(request);
    if (!reply.success) throw new Error(reply.message);
    return reply.mxSourceId;
  }

  async list(query: Partial<ListSourcesRequest> = {}): Promise<SourceInstanceRef[]> {
    return ListSourcesResponse.decode(await this.calls.list(listRequest(query))).instances;
  }

  /** The ids of the workers that are listed, in the order of the answer. */
  async ids(query: Partial<ListSourcesRequest> = {}): Promise<string[]> {
    return (await this.list(query)).map((reference) => reference.workerId);
  }

  async get(mxSourceId: string, workerId: string): Promise<GetMetadataResponse> {
    return GetMetadataResponse.decode(await this.calls.get({ mxSourceId, workerId }));
  }

  update(mxSourceId: string, workerId: string, fields: Partial<UpdateStatusRequest> = {}): Promise<UpdateStatusResponse> {
    return this.calls.update({ ...UpdateStatusRequest.create(), mxSourceId, workerId, ...fields });
  }
}

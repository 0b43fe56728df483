/** The four calls of P2pService as gRPC handlers over a store. */
import type { handleUnaryCall, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  type GetMetadataRequest,
  type ListSourcesResponse,
  P2pServiceService,
  type PublishMetadataResponse,
  type UpdateStatusRequest,
  type UpdateStatusResponse,
} from '../../gen/model_express/p2p.js';
import type { Logger } from '../../observe/logger.js';
import { getMetadata, metadataNotFound } from './semantics/get.js';
import { listSources } from './semantics/list.js';
import { publishMetadata, publishRefused } from './semantics/publish.js';
import { updateFailed, updateStatus } from './semantics/update-status.js';
import type { MetadataStore } from '../stores/store.js';

const asReceived = (bytes: Buffer): Buffer => bytes;

/** The generated definition, with the messages that hold tensor lists or identities left as bytes. */
export const p2pServiceDefinition: ServiceDefinition = {
  ...P2pServiceService,
  publishMetadata: { ...P2pServiceService.publishMetadata, requestDeserialize: asReceived },
  listSources: { ...P2pServiceService.listSources, requestDeserialize: asReceived },
  getMetadata: { ...P2pServiceService.getMetadata, responseSerialize: asReceived },
};

export interface P2pServiceOptions {
  readonly store: MetadataStore;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly heartbeatTimeoutMs: number;
  readonly logger: Logger;
}

/** Every call ends with gRPC status OK: peers read failures from the reply, and count only those. */
export function createP2pService({ store, clock, heartbeatTimeoutMs, logger }: P2pServiceOptions): UntypedServiceImplementation {
  /** `run` may throw anything; `failed` puts it into a reply. */
  function answer<Request, Response>(
    name: string,
    run: (request: Request) => Promise<Response>,
    failed: (reason: string) => Response,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      run(call.request).then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          logger.error(`${name} failed`, { reason, peer: call.getPeer() });
          callback(null, failed(reason));
        },
      );
    };
  }

  return {
    publishMetadata: answer<Buffer, PublishMetadataResponse>(
      'PublishMetadata',
      async (request) => {
        const reply = await publishMetadata(store, request);
        if (reply.success) logger.info(reply.message);
        else logger.warn('publication refused', { reason: reply.message });
        return reply;
      },
      (reason) => publishRefused(`Failed to publish metadata: ${reason}`),
    ),
    listSources: answer<Buffer, ListSourcesResponse>(
      'ListSources',
      async (request) => {
        const reply = await listSources(store, request, clock(), heartbeatTimeoutMs);
        logger.debug('sources listed', { instances: reply.instances.length });
        return reply;
      },
      () => ({ instances: [] }),
    ),
    getMetadata: answer<GetMetadataRequest, Buffer>(
      'GetMetadata',
      async (request) => {
        const reply = await getMetadata(store, request);
        logger.info('metadata fetched', { sourceId: request.mxSourceId, workerId: request.workerId, bytes: reply.length });
        return reply;
      },
      () => metadataNotFound('', ''),
    ),
    updateStatus: answer<UpdateStatusRequest, UpdateStatusResponse>(
      'UpdateStatus',
      async (request) => {
        const reply = await updateStatus(store, request, clock());
        logger.debug(reply.message, { status: request.status });
        return reply;
      },
      updateFailed,
    ),
  };
}

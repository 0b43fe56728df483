/** The four calls of P2pService as gRPC handlers over a store. */
import type { handleUnaryCall, ServerUnaryCall, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  type GetMetadataRequest,
  P2pServiceService,
  type PublishMetadataResponse,
  type UpdateStatusRequest,
  type UpdateStatusResponse,
} from '../../gen/model_express/p2p.js';
import type { Logger } from '../../observe/logger.js';
import { MessageParts } from '../../rpc/message-parts.js';
import type { MetadataStore } from '../stores/store.js';
import { type CallOutcome, type ServerObserver, silentObserver } from './observer.js';
import { type Answer, MalformedRequest } from './semantics/answer.js';
import { getMetadata, metadataNotFound } from './semantics/get.js';
import { listSources } from './semantics/list.js';
import { publishFailed, publishMetadata } from './semantics/publish.js';
import { updateFailed, updateStatus } from './semantics/update-status.js';

const asReceived = (bytes: Buffer): Buffer => bytes;

/** The generated definition, with the messages that hold tensor lists, identities or many references left as bytes. */
export const p2pServiceDefinition: ServiceDefinition = {
  ...P2pServiceService,
  publishMetadata: { ...P2pServiceService.publishMetadata, requestDeserialize: asReceived },
  listSources: {
    ...P2pServiceService.listSources,
    requestDeserialize: asReceived,
    responseSerialize: (reply: MessageParts) => reply.toBuffer(),
  },
  getMetadata: { ...P2pServiceService.getMetadata, responseSerialize: (reply: MessageParts) => reply.toBuffer() },
};

export interface P2pServiceOptions {
  readonly store: MetadataStore;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly heartbeatTimeoutMs: number;
  readonly logger: Logger;
  readonly observer?: ServerObserver;
}

/** One call of the service: how it is answered, and what is answered when that fails. */
interface Method<Request, Response> {
  readonly name: string;
  readonly run: (request: Request) => Promise<Answer<Response>>;
  readonly failed: (reason: string) => Response;
}

/** Every call ends with gRPC status OK: peers read failures from the reply, and count only those. */
export function createP2pService(options: P2pServiceOptions): UntypedServiceImplementation {
  const { store, clock, heartbeatTimeoutMs, logger, observer = silentObserver } = options;

  /** `run` may throw anything; `failed` puts it into a reply. */
  function handler<Request, Response>({ name, run, failed }: Method<Request, Response>): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const startedAt = performance.now();
      observer.callStarted(name);
      const end = (response: Response, outcome: CallOutcome): void => {
        observer.callEnded(name, call.cancelled ? 'cancelled' : outcome, (performance.now() - startedAt) / 1000);
        callback(null, response);
      };
      run(call.request).then(
        ({ reply, outcome }) => {
          end(reply, outcome);
        },
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          report(name, error, reason, call);
          end(failed(reason), error instanceof MalformedRequest ? 'invalid_argument' : 'backend_error');
        },
      );
    };
  }

  function report<Request, Response>(name: string, error: unknown, reason: string, call: ServerUnaryCall<Request, Response>): void {
    const fields = { reason, peer: call.getPeer() };
    if (error instanceof MalformedRequest) logger.warn(`${name} refused`, fields);
    else logger.error(`${name} failed`, fields);
  }

  return {
    publishMetadata: handler<Buffer, PublishMetadataResponse>({
      name: 'PublishMetadata',
      run: async (request) => {
        const answer = await publishMetadata(store, request);
        if (answer.reply.success) logger.info(answer.reply.message);
        else logger.warn('publication refused', { reason: answer.reply.message });
        return answer;
      },
      failed: publishFailed,
    }),
    listSources: handler<Buffer, MessageParts>({
      name: 'ListSources',
      run: async (request) => {
        const answer = await listSources(store, request, clock(), heartbeatTimeoutMs);
        logger.debug('sources listed', { bytes: answer.reply.byteLength });
        return answer;
      },
      failed: () => new MessageParts([]),
    }),
    getMetadata: handler<GetMetadataRequest, MessageParts>({
      name: 'GetMetadata',
      run: async (request) => {
        const answer = await getMetadata(store, request);
        logger.info('metadata fetched', { sourceId: request.mxSourceId, workerId: request.workerId, bytes: answer.reply.byteLength });
        return answer;
      },
      failed: () => metadataNotFound('', ''),
    }),
    updateStatus: handler<UpdateStatusRequest, UpdateStatusResponse>({
      name: 'UpdateStatus',
      run: async (request) => {
        const answer = await updateStatus(store, request, clock());
        logger.debug(answer.reply.message, { status: request.status });
        return answer;
      },
      failed: updateFailed,
    }),
  };
}

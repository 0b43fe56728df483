/** `model_express.p2p.WorkerService` of a worker that serves tensors and no artifacts, as ModelExpress 0.7 has it. */
import {
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  type GetTensorManifestRequest,
  type PrepareTensorReadRequest,
  ReleaseTensorReadResponse,
  type ReleaseTensorReadRequest,
  WorkerServiceService,
} from '../../gen/model_express/p2p.js';
import type { MessageParts } from '../../rpc/message-parts.js';
import { plainAddress } from '../../rpc/plain-address.js';
import type { TensorReadLeases } from './leases.js';
import { ManifestReply } from './manifest-reply.js';
import { mismatch, type ServedSource } from './served-source.js';

interface Refusal {
  readonly code: status;
  readonly details: string;
}

const asParts = { responseSerialize: (reply: MessageParts) => reply.toBuffer() };

/** The generated definition, with tensor manifests answered as bytes. */
export const workerServiceDefinition: ServiceDefinition = {
  ...WorkerServiceService,
  getTensorManifest: { ...WorkerServiceService.getTensorManifest, ...asParts },
  prepareTensorRead: { ...WorkerServiceService.prepareTensorRead, ...asParts },
};

const draining: Refusal = { code: status.UNAVAILABLE, details: 'tensor source is draining' };
const noArtifacts: Refusal = { code: status.NOT_FOUND, details: 'artifact manifest is not available for this worker' };

/** Answers with real gRPC statuses, unlike P2pService. */
export function createWorkerService(source: ServedSource, leases: TensorReadLeases): UntypedServiceImplementation {
  const { logger } = source;
  const reply = new ManifestReply(source);

  /** Checks that all three tensor calls share; `undefined`: go on. */
  const refusalOf = (asked: { mxSourceId: string; workerId?: string | undefined }): Refusal | undefined => {
    if (asked.mxSourceId === '') return { code: status.INVALID_ARGUMENT, details: 'mx_source_id is required for tensor reads' };
    const details = mismatch(source, { sourceId: asked.mxSourceId, workerId: asked.workerId });
    return details === undefined ? undefined : { code: status.FAILED_PRECONDITION, details };
  };

  const getTensorManifest: handleUnaryCall<GetTensorManifestRequest, MessageParts> = (call, callback) => {
    const refusal = refusalOf(call.request) ?? (leases.draining ? draining : undefined);
    if (refusal !== undefined) {
      logger.warn('tensor manifest refused', { reason: refusal.details, peer: call.getPeer() });
      callback(refusal);
      return;
    }
    reply.manifest().then(
      (parts) => callback(null, parts),
      (error: unknown) => callback(internal(error)),
    );
  };

  const prepareTensorRead: handleUnaryCall<PrepareTensorReadRequest, MessageParts> = (call, callback) => {
    const taken = refusalOf(call.request) ?? leases.take(hostOf(call));
    if (!('id' in taken)) {
      const refusal = 'code' in taken ? taken : taken.refused === 'draining' ? draining : tooMany(leases.running);
      logger.warn('tensor read refused', { reason: refusal.details, peer: call.getPeer() });
      callback(refusal);
      return;
    }
    logger.debug('tensor read lease taken', { lease: taken.id, peer: call.getPeer(), running: leases.running });
    reply.prepared(taken.id).then(
      (parts) => {
        // Nobody would ever give it back.
        if (call.cancelled) leases.release(taken.id);
        callback(null, parts);
      },
      (error: unknown) => {
        leases.release(taken.id);
        callback(internal(error));
      },
    );
  };

  const releaseTensorRead: handleUnaryCall<ReleaseTensorReadRequest, ReleaseTensorReadResponse> = (call, callback) => {
    const { leaseId } = call.request;
    const unknown = { code: status.NOT_FOUND, details: `tensor read lease not found or expired: ${leaseId}` };
    const refusal = refusalOf(call.request) ?? (leases.release(leaseId) ? undefined : unknown);
    if (refusal === undefined) {
      logger.debug('tensor read lease released', { lease: leaseId, peer: call.getPeer(), running: leases.running });
      callback(null, ReleaseTensorReadResponse.create());
    } else {
      logger.warn('release of a tensor read refused', { reason: refusal.details, peer: call.getPeer() });
      callback(refusal);
    }
  };

  const noArtifact: handleUnaryCall<unknown, never> = (_call, callback) => callback(noArtifacts);
  return {
    getTensorManifest,
    prepareTensorRead,
    releaseTensorRead,
    getArtifactManifestHeader: noArtifact,
    getArtifactManifestChunks: noArtifact,
    prepareArtifactChunk: noArtifact,
    releaseArtifactChunk: noArtifact,
  };
}

function tooMany(running: number): Refusal {
  return { code: status.RESOURCE_EXHAUSTED, details: `too many tensor read leases (${running} are running); try again later` };
}

function internal(error: unknown): Refusal {
  return { code: status.INTERNAL, details: String(error) };
}

/** The caller's address without its port. */
function hostOf(call: ServerUnaryCall<unknown, unknown>): string {
  return plainAddress(call.getPeer().replace(/:\d+$/, ''));
}

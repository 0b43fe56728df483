/** The handlers of a worker's gRPC endpoint: WorkerService and our SeedService. */
import { type handleUnaryCall, type ServiceDefinition, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  GetTensorManifestResponse,
  type GetTensorManifestRequest,
  type ReleaseArtifactChunkRequest,
  type TensorDescriptor,
  WorkerServiceService,
} from '../../gen/model_express/p2p.js';
import type { ModelFileChunk, SeedServiceServer } from '../../gen/weightcast/seed.js';
import type { Logger } from '../../observe/logger.js';
import { chunksOf, manifestParts, type ModelManifest } from './model-manifest.js';
import { fail, streamOut } from '../../rpc/stream-out.js';
import { encodeEntries } from '../wire/tensor-entries.js';

/** What a worker serves. */
export interface WorkerSource {
  readonly workerId: string;
  readonly workerRank: number;
  /** `cuda`, `xpu`, …; empty: not said. */
  readonly accelerator: string;
  /** Never changes: its encoding is kept after the first request. */
  readonly tensors: readonly TensorDescriptor[];
  manifest(): Promise<ModelManifest>;
  /** A small file of the model; `undefined` when there is none of that name. Only exact names of the manifest should open. */
  openFile(name: string): Promise<AsyncIterable<Buffer>> | undefined;
}

/** The source as its services see it; the id is only known after publication, '' before. */
export interface ServedSource {
  readonly worker: WorkerSource;
  readonly sourceId: () => string;
  readonly logger: Logger;
}

/** The generated definition, with the tensor manifest answered as bytes. */
export const workerServiceDefinition: ServiceDefinition = {
  ...WorkerServiceService,
  getTensorManifest: { ...WorkerServiceService.getTensorManifest, responseSerialize: (bytes: Buffer) => bytes },
};

/** WorkerService of a worker that serves tensors and no artifacts. */
export function createWorkerService({ worker, sourceId, logger }: ServedSource): UntypedServiceImplementation {
  let entries: Promise<Buffer> | undefined;

  const getTensorManifest: handleUnaryCall<GetTensorManifestRequest, Buffer> = (call, callback) => {
    const { mxSourceId, workerId } = call.request;
    const refusal = mismatch(mxSourceId, sourceId(), workerId, worker.workerId);
    if (refusal !== undefined) {
      logger.warn('tensor manifest refused', { reason: refusal, peer: call.getPeer() });
      callback({ code: status.FAILED_PRECONDITION, details: refusal });
      return;
    }
    // Entries are what a list under field 1 looks like, so that they can stand in the reply as they are.
    entries ??= encodeEntries(worker.tensors);
    entries.then(
      (tensors) => {
        callback(null, Buffer.concat([tensors, GetTensorManifestResponse.encode(envelope()).finish()]));
      },
      (error: unknown) => {
        callback({ code: status.INTERNAL, details: String(error) });
      },
    );
  };

  const envelope = (): GetTensorManifestResponse => ({
    ...GetTensorManifestResponse.create(),
    mxSourceId: sourceId(),
    workerRank: worker.workerRank,
    accelerator: worker.accelerator,
    workerId: worker.workerId,
  });

  const noArtifact: handleUnaryCall<unknown, never> = (_call, callback) => {
    callback({ code: status.NOT_FOUND, details: 'artifact manifest is not available for this worker' });
  };
  const releaseArtifactChunk: handleUnaryCall<ReleaseArtifactChunkRequest, never> = (call, callback) => {
    callback({ code: status.NOT_FOUND, details: `artifact chunk lease not found: ${call.request.leaseId}` });
  };
  return {
    getTensorManifest,
    getArtifactManifestHeader: noArtifact,
    getArtifactManifestChunks: noArtifact,
    prepareArtifactChunk: noArtifact,
    releaseArtifactChunk,
  };
}

export function createSeedService({ worker, sourceId, logger }: ServedSource): SeedServiceServer {
  const refusal = ({ mxSourceId, workerId }: { mxSourceId: string; workerId: string }): string | undefined =>
    mismatch(mxSourceId, sourceId(), workerId || undefined, worker.workerId);

  return {
    getModelManifest: (call) => {
      const reason = refusal(call.request);
      if (reason !== undefined) {
        fail(call, status.FAILED_PRECONDITION, reason);
        return;
      }
      worker.manifest().then(
        (manifest) => streamOut(call, manifestParts(manifest)),
        (error: unknown) => {
          logger.error('cannot make the model manifest', { error: String(error) });
          fail(call, status.INTERNAL, String(error));
        },
      );
    },
    getModelFile: (call) => {
      const { name } = call.request;
      const reason = refusal(call.request);
      if (reason !== undefined) {
        fail(call, status.FAILED_PRECONDITION, reason);
        return;
      }
      const opening = worker.openFile(name);
      if (opening === undefined) {
        fail(call, status.NOT_FOUND, `no model file of the name '${name}' is offered`);
        return;
      }
      opening.then(
        (content) => streamOut(call, fileChunks(content)),
        (error: unknown) => {
          logger.error('cannot open a model file', { name, error: String(error) });
          fail(call, status.INTERNAL, String(error));
        },
      );
    },
  };
}

/** The first id that is given and not our own, as a message; peers show it to people. */
function mismatch(sourceId: string, ownSourceId: string, workerId: string | undefined, ownWorkerId: string): string | undefined {
  if (sourceId !== '' && sourceId !== ownSourceId) return `mx_source_id mismatch: expected ${ownSourceId}, got ${sourceId}`;
  if (workerId !== undefined && workerId !== ownWorkerId) return `worker_id mismatch: expected ${ownWorkerId}, got ${workerId}`;
  return undefined;
}

async function* fileChunks(content: AsyncIterable<Buffer>): AsyncGenerator<ModelFileChunk> {
  for await (const bytes of content) {
    for (const data of chunksOf(bytes)) yield { data };
  }
}

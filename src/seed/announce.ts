/** Telling peers of a seed that can be read: its own endpoint first, then the record at the metadata server. */
import { type SourceIdentity, type TensorDescriptor, WorkerMetadata } from '../gen/model_express/p2p.js';
import type { MetadataClient } from '../metadata/client.js';
import { Publisher } from '../metadata/publisher.js';
import type { ModelManifest } from '../metadata/worker/model-manifest.js';
import { WorkerServer } from '../metadata/worker/server.js';
import type { Logger } from '../observe/logger.js';
import type { RailPort } from '../rails.js';
import { openModelFile, type SeedContent } from './content.js';
import type { SeedDataPlane } from './data-plane.js';
import { dataPlaneHealth } from './health.js';
import { sourceLoad } from './load/source-load.js';
import type { ManifestDecision } from './manifest-mode.js';
import type { SeedOptions } from './options.js';

/** A seed that can be read, before anybody knows of it. */
export interface Ready {
  readonly options: SeedOptions;
  readonly client: MetadataClient;
  readonly identity: SourceIdentity;
  readonly workerId: string;
  readonly rank: number;
  readonly host: string;
  readonly content: SeedContent;
  readonly tensors: readonly TensorDescriptor[];
  readonly manifest: ModelManifest;
  readonly decision: ManifestDecision;
  readonly plane: SeedDataPlane;
  /** RDMA ports that peers read over. */
  readonly ports: readonly RailPort[];
  readonly logger: Logger;
}

/** The caller closes it. */
export function openWorker({ options, workerId, rank, host, content, tensors, manifest, logger }: Ready): Promise<WorkerServer> {
  return WorkerServer.listen({
    host,
    port: options.workerPort,
    worker: {
      workerId,
      workerRank: rank,
      accelerator: options.accelerator ?? '',
      tensors,
      manifest: () => Promise.resolve(manifest),
      openFile: (name) => openModelFile(content, name),
    },
    tls: options.workerTls,
    limits: options.workerLimits,
    transferTimeoutMs: options.transferTimeoutMs,
    logger,
  });
}

/** Resolves when the seed is READY at the server. The caller stops it. */
export function publish(ready: Ready, worker: WorkerServer): Promise<Publisher> {
  const { options, client, identity, workerId, plane, ports, logger } = ready;
  return Publisher.start({
    client,
    identity,
    worker: recordOf(ready, worker),
    workerId,
    pod: options.pod,
    healthy: dataPlaneHealth({ ports, listeners: plane.listeners, logger }),
    sourceLoad: sourceLoad({ ports, runtimeMetricsUrl: options.runtimeMetricsUrl, logger }),
    heartbeatIntervalMs: options.heartbeatIntervalMs,
    publishTimeoutMs: options.publishTimeoutMs,
    onSourceId: (id) => {
      worker.setSourceId(id);
    },
    onGivenUp: options.onLost,
    logger,
    signal: options.signal,
  });
}

/** With a central manifest the list stands in both fields, old and new, and is encoded once. */
function recordOf({ options, rank, tensors, decision, plane }: Ready, worker: WorkerServer): WorkerMetadata {
  const central = decision.mode === 'central';
  return {
    ...WorkerMetadata.create(),
    workerRank: rank,
    backendMetadata: { $case: 'transferEngineSessionId', value: plane.sessionId },
    workerGrpcEndpoint: worker.endpoint,
    accelerator: options.accelerator ?? '',
    topology: { ...options.topology },
    ...(central && { sourcePayload: { $case: 'tensorSource', value: { tensors: [...tensors] } } }),
  };
}

/** Waits for targets that hold a lease, after the server has been told that there will be no more. Never rejects. */
export async function drain(worker: WorkerServer, timeoutMs: number, logger: Logger): Promise<void> {
  const { readers } = worker;
  if (readers > 0) logger.warn('waiting for targets that still read', { readers, timeoutMs });
  const left = await worker.drain(timeoutMs);
  if (left > 0) logger.warn('targets still read; their reads fail now', { readers: left });
  else if (readers > 0) logger.info('no target reads any more');
}

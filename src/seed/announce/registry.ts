/** At the metadata server: the seed's own endpoint first, then the record. */
import { WorkerMetadata } from '../../gen/model_express/p2p.js';
import { MetadataClient } from '../../metadata/client.js';
import { Publisher } from '../../metadata/publisher.js';
import { WorkerServer } from '../../metadata/worker/server.js';
import type { Logger } from '../../observe/logger.js';
import { openModelFile, type SeedContent } from '../content.js';
import { sourceLoad } from '../load/source-load.js';
import { decideManifest, type ManifestDecision } from '../manifest-mode.js';
import { descriptorsOf } from '../manifest.js';
import type { SeedOptions, SeedSummary } from '../options.js';
import type { Announcer, Beginning, Ready } from './announcer.js';

/** How long the end of a seed waits for targets that hold a lease. Milliseconds. */
const defaultDrainMs = 30_000;

export class RegistryAnnouncer implements Announcer {
  readonly carriesChecksums = true;

  private constructor(private readonly client: MetadataClient) {}

  /** A server that is not there is found out now, not after minutes of registration. @throws ERR_SERVER_UNREACHABLE, … */
  static async open(server: string, { options, identity, logger, cleanups }: Beginning): Promise<RegistryAnnouncer> {
    const client = new MetadataClient(server, { security: options.security, logger });
    cleanups.push(() => {
      client.close();
    });
    await client.listSources({ identity }, options.signal);
    return new RegistryAnnouncer(client);
  }

  check(content: SeedContent, options: SeedOptions): string[] {
    const { note } = decideManifest(options.manifest ?? 'auto', descriptorsOf(content));
    return note === '' ? [] : [note];
  }

  async announce(ready: Ready): Promise<Partial<SeedSummary>> {
    const { options, tensors, logger, cleanups } = ready;
    const decision = decideManifest(options.manifest ?? 'auto', tensors);
    const worker = await openWorker(ready);
    cleanups.push(() => worker.close());
    const publisher = await publish(this.client, ready, decision, worker);
    cleanups.push(() => drain(worker, options.drainTimeoutMs ?? defaultDrainMs, logger));
    cleanups.push(() => publisher.stop());
    return { sourceId: publisher.sourceId, workerEndpoint: worker.endpoint, manifest: decision.mode };
  }
}

function openWorker({ options, workerId, rank, host, content, tensors, manifest, logger }: Ready): Promise<WorkerServer> {
  return WorkerServer.listen({
    host,
    port: options.workerPort,
    worker: {
      workerId,
      workerRank: rank,
      accelerator: acceleratorOf(options, content),
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

/** Resolves when the seed is READY at the server. */
function publish(client: MetadataClient, ready: Ready, decision: ManifestDecision, worker: WorkerServer): Promise<Publisher> {
  const { options, identity, workerId, ports, healthy, logger } = ready;
  return Publisher.start({
    client,
    identity,
    worker: recordOf(ready, decision, worker),
    workerId,
    pod: options.pod,
    healthy,
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
function recordOf({ options, rank, content, tensors, plane }: Ready, decision: ManifestDecision, worker: WorkerServer): WorkerMetadata {
  const central = decision.mode === 'central';
  return {
    ...WorkerMetadata.create(),
    workerRank: rank,
    backendMetadata: { $case: 'transferEngineSessionId', value: plane.sessionId },
    workerGrpcEndpoint: worker.endpoint,
    accelerator: acceleratorOf(options, content),
    topology: { ...options.topology },
    ...(central && { sourcePayload: { $case: 'tensorSource', value: { tensors: [...tensors] } } }),
  };
}

function acceleratorOf({ accelerator = '' }: SeedOptions, { accelerator: known = '', residence = '' }: SeedContent): string {
  return [known, accelerator, residence].find((name) => name !== '') ?? '';
}

/** Waits for targets that hold a lease, after the server has been told that there will be no more. Never rejects. */
async function drain(worker: WorkerServer, timeoutMs: number, logger: Logger): Promise<void> {
  const { readers } = worker;
  if (readers > 0) logger.warn('waiting for targets that still read', { readers, timeoutMs });
  const left = await worker.drain(timeoutMs);
  if (left > 0) logger.warn('targets still read; their reads fail now', { readers: left });
  else if (readers > 0) logger.info('no target reads any more');
}

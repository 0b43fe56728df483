/** The steps that make a seed, in order, and what each leaves to be closed. */
import { randomBytes } from 'node:crypto';
import { throwIfAborted, toWeightcastError } from '../errors.js';
import { SourceIdentity, WorkerMetadata } from '../gen/model_express/p2p.js';
import { defaultHost } from '../handshake/index.js';
import { MetadataClient } from '../metadata/client.js';
import { Publisher } from '../metadata/publisher.js';
import { WorkerServer } from '../metadata/worker/server.js';
import { silentLogger } from '../observe/logger.js';
import { closeRails, openRails, type Rails } from '../rails.js';
import { rangesOf, openModelFile, type ContentRange, type SeedContent } from './content.js';
import { SeedDataPlane } from './data-plane.js';
import { checksumTensors, descriptorsOf, manifestOf } from './manifest.js';
import type { SeedOptions, SeedPhase, SeedSummary } from './options.js';
import { register, type Registered } from './register.js';

/** Closes one thing that bringing a seed up opened; called in reverse order. */
export type Cleanup = () => Promise<void> | void;

/** Opens everything in order; what it opened is in `cleanups`, whether it returns or throws. */
export async function bringUp(load: () => Promise<SeedContent>, options: SeedOptions, cleanups: Cleanup[]): Promise<SeedSummary> {
  const { logger = silentLogger, signal, transport = 'auto', rank = 0 } = options;
  const workerId = options.workerId ?? randomBytes(4).toString('hex');
  const host = options.host ?? (await defaultHost());
  const phases: Record<SeedPhase, number> = { open: 0, prepare: 0, register: 0, checksum: 0, publish: 0 };
  const phase = async <T>(name: SeedPhase, work: () => Promise<T>): Promise<T> => {
    throwIfAborted(signal, `seed: ${name}`);
    options.onPhase?.(name);
    const start = performance.now();
    const value = await work();
    phases[name] += performance.now() - start;
    return value;
  };

  const identity = SourceIdentity.fromPartial(options.identity);
  const client = new MetadataClient(options.server);
  cleanups.push(() => {
    client.close();
  });
  // A server that is not there is found out now, not after minutes of registration.
  await client.listSources({ identity }, signal);

  await phase('prepare', async () => options.prepare?.());
  const content = await phase('open', load);
  cleanups.push(() => {
    content.close();
  });
  const ranges = rangesOf(content.tensors);
  const rails = await openRails({ transport, devices: options.devices, gidIndex: options.gidIndex });
  cleanups.push(() => closeRails(rails));
  const { registered, reason } = await phase('register', () => registerOn(rails, content, ranges, options));
  if (registered !== undefined) cleanups.push(() => registered.close());
  const nics = registered === undefined ? [] : rails.nics;

  const checksums = options.checksums === false ? undefined : await phase('checksum', () => checksumTensors(content, signal));
  const manifest = await manifestOf(content, checksums);
  const tensors = descriptorsOf(content);

  const plane = await SeedDataPlane.open({ host, nics, content, ranges, registered, tcp: transport !== 'rdma', logger });
  cleanups.push(() => plane.close());
  const worker = await WorkerServer.listen({
    host,
    worker: {
      workerId,
      workerRank: rank,
      accelerator: '',
      tensors,
      manifest: () => Promise.resolve(manifest),
      openFile: (name) => openModelFile(content, name),
    },
    logger,
  });
  cleanups.push(() => worker.close());

  const publisher = await phase('publish', () =>
    Publisher.start({
      client,
      identity,
      worker: WorkerMetadata.fromPartial({
        workerRank: rank,
        backendMetadata: { $case: 'transferEngineSessionId', value: plane.sessionId },
        sourcePayload: { $case: 'tensorSource', value: { tensors } },
        workerGrpcEndpoint: worker.endpoint,
      }),
      workerId,
      onSourceId: (id) => {
        worker.setSourceId(id);
      },
      logger,
      ...(options.heartbeatIntervalMs === undefined ? {} : { heartbeatIntervalMs: options.heartbeatIntervalMs }),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  cleanups.push(() => publisher.stop());

  return {
    sourceId: publisher.sourceId,
    workerId,
    rank,
    sessionId: plane.sessionId,
    workerEndpoint: worker.endpoint,
    transports: [...(nics.length > 0 ? (['rdma'] as const) : []), ...(transport === 'rdma' ? [] : (['tcp'] as const))],
    devices: nics.map((nic) => nic.device),
    softwareDevices: nics.length > 0 ? rails.softwareDevices : [],
    transportReason: reason,
    tensors: tensors.length,
    bytes: content.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n),
    backing: content.weightFiles.length === 0 ? 'memory' : registered?.copiedBecause ? 'copied' : 'mapped',
    copiedBecause: registered?.copiedBecause ?? '',
    registrations: registered?.ranges.length ?? 0,
    phases,
  };
}

/** With `auto`, what keeps memory from being pinned makes this a TCP seed that says why; with `rdma` it is an error. */
async function registerOn(
  rails: Rails,
  content: SeedContent,
  ranges: readonly ContentRange[],
  options: SeedOptions,
): Promise<{ registered: Registered | undefined; reason: string }> {
  const { logger = silentLogger } = options;
  if (rails.nics.length === 0) return { registered: undefined, reason: rails.reason };
  try {
    return { registered: await register(rails.nics, content, ranges, logger), reason: '' };
  } catch (error) {
    const ours = toWeightcastError(error);
    if (options.transport === 'rdma') throw ours;
    logger.warn('RDMA is not offered', { reason: ours.message });
    return { registered: undefined, reason: ours.message };
  }
}

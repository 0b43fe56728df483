/** The steps that make a seed, in order, and what each leaves to be closed. */
import { randomBytes } from 'node:crypto';
import { throwIfAborted, toWeightcastError } from '../errors.js';
import { defaultHost } from '../handshake/index.js';
import { completeIdentity } from '../identity/index.js';
import { MetadataClient } from '../metadata/client.js';
import { silentLogger } from '../observe/logger.js';
import { closeRails, openRails, type Rails } from '../rails.js';
import { drain, openWorker, publish } from './announce.js';
import { rangesOf, type ContentRange, type SeedContent } from './content.js';
import { SeedDataPlane } from './data-plane.js';
import { decideManifest } from './manifest-mode.js';
import { checksumTensors, descriptorsOf, manifestOf } from './manifest.js';
import type { SeedOptions, SeedPhase, SeedSummary } from './options.js';
import { register, type Registered } from './register.js';

/** How long the end of a seed waits for targets that hold a lease. Milliseconds. */
const defaultDrainMs = 30_000;

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

  const identity = completeIdentity(options.identity);
  const client = new MetadataClient(options.server, { security: options.security, logger });
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
  // A list that is too large is found out before anything is registered.
  const decision = decideManifest(options.manifest ?? 'auto', descriptorsOf(content));
  if (decision.note !== '') logger.warn(decision.note);
  const rails = await openRails({ transport, devices: options.devices, gidIndex: options.gidIndex });
  cleanups.push(() => closeRails(rails));
  const { registered, reason } = await phase('register', () => registerOn(rails, content, ranges, options));
  if (registered !== undefined) cleanups.push(() => registered.close());
  const nics = registered === undefined ? [] : rails.nics;
  const ports = registered === undefined ? [] : rails.ports;

  const checksums = options.checksums === false ? undefined : await phase('checksum', () => checksumTensors(content, signal));
  const manifest = await manifestOf(content, checksums);

  const plane = await SeedDataPlane.open({ host, nics, content, ranges, registered, tcp: transport !== 'rdma', logger });
  cleanups.push(() => plane.close());
  // Registration may have replaced regions by copies, elsewhere in memory.
  const tensors = descriptorsOf(content);
  const ready = { options, client, identity, workerId, rank, host, content, tensors, manifest, decision, plane, ports, logger };
  const worker = await openWorker(ready);
  cleanups.push(() => worker.close());
  const publisher = await phase('publish', () => publish(ready, worker));
  cleanups.push(() => drain(worker, options.drainTimeoutMs ?? defaultDrainMs, logger));
  cleanups.push(() => publisher.stop());

  return {
    sourceId: publisher.sourceId,
    workerId,
    rank,
    sessionId: plane.sessionId,
    workerEndpoint: worker.endpoint,
    manifest: decision.mode,
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
    notes: decision.note === '' ? [] : [decision.note],
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

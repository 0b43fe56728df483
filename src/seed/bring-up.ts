/** The steps that make a seed, in order, and what each leaves to be closed. */
import { randomBytes } from 'node:crypto';
import { throwIfAborted, toWeightcastError } from '../errors.js';
import { defaultHost } from '../handshake/index.js';
import { completeIdentity, mxSourceId } from '../identity/index.js';
import { silentLogger } from '../observe/logger.js';
import { closeRails, openRails, type Rails } from '../rails.js';
import type { Announcer, Beginning, Cleanup } from './announce/announcer.js';
import { RegistryAnnouncer } from './announce/registry.js';
import { SglangAnnouncer } from './announce/sglang.js';
import type { SeedContent } from './content.js';
import { SeedDataPlane } from './data-plane.js';
import { dataPlaneHealth } from './health.js';
import { layOut, type Layout } from './layout.js';
import { checksumTensors, descriptorsOf, manifestOf } from './manifest.js';
import type { SeedOptions, SeedPhase, SeedSummary } from './options.js';
import { register, type Registered } from './register.js';

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
  const beginning: Beginning = { options, identity, workerId, rank, host, logger, cleanups };
  const announcers = await openAnnouncers(beginning);

  await phase('prepare', async () => options.prepare?.());
  const content = await phase('open', load);
  cleanups.push(() => {
    content.close();
  });
  // A list that is too large is found out before anything is registered.
  const notes = announcers.flatMap((announcer) => announcer.check(content, options));
  for (const note of notes) logger.warn(note);
  const rails = await openRails({ transport, devices: options.devices, gidIndex: options.gidIndex });
  cleanups.push(() => closeRails(rails));
  const { layout, registered, reason } = await phase('register', () => registerOn(rails, content, host, options));
  if (layout.note !== '') logger.info(layout.note);
  if (registered !== undefined) cleanups.push(() => registered.close());
  const nics = registered === undefined ? [] : rails.nics;
  const ports = registered === undefined ? [] : rails.ports;

  const verifiable = announcers.some((announcer) => announcer.carriesChecksums);
  const compute = verifiable && options.checksums !== false && content.checksums === undefined;
  const checksums = compute ? await phase('checksum', () => checksumTensors(content, signal)) : content.checksums;
  const manifest = await manifestOf(content, checksums);

  const { ranges } = layout;
  const plane = await SeedDataPlane.open({
    host,
    nics,
    content,
    ranges,
    registered,
    tcp: transport !== 'rdma',
    local: options.local ?? transport === 'auto',
    logger,
  });
  cleanups.push(() => plane.close());
  // Registration may have replaced regions by copies, elsewhere in memory.
  const tensors = descriptorsOf(content);
  const healthy = dataPlaneHealth({ ports, listeners: plane.listeners, logger });
  const ready = { ...beginning, content, tensors, manifest, plane, ports, healthy };
  const told: Partial<SeedSummary> = {};
  await phase('publish', async () => {
    for (const announcer of announcers) Object.assign(told, await announcer.announce(ready));
  });

  return {
    sourceId: mxSourceId(identity),
    workerId,
    rank,
    sessionId: plane.sessionId,
    workerEndpoint: '',
    manifest: 'none',
    ...told,
    transports: [
      ...(nics.length > 0 ? (['rdma'] as const) : []),
      ...(transport === 'rdma' ? [] : (['tcp'] as const)),
      ...(plane.local ? (['local'] as const) : []),
    ],
    devices: nics.map((nic) => nic.device),
    softwareDevices: nics.length > 0 ? rails.softwareDevices : [],
    transportReason: reason,
    tensors: tensors.length,
    bytes: content.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n),
    backing: backingOf(content, registered),
    copiedBecause: registered?.copiedBecause ?? '',
    registrations: registered === undefined ? 0 : layout.ranges.length,
    phases,
    notes: [...notes, ...(layout.note === '' ? [] : [layout.note]), ...plane.notes],
  };
}

/** In the order in which peers are told; what was told last is taken back first. */
async function openAnnouncers(beginning: Beginning): Promise<Announcer[]> {
  const { server, sglang } = beginning.options;
  return [
    ...(server === undefined ? [] : [await RegistryAnnouncer.open(server, beginning)]),
    ...(sglang === undefined ? [] : [await SglangAnnouncer.open(sglang, beginning)]),
  ];
}

function backingOf({ regions }: SeedContent, registered: Registered | undefined): SeedSummary['backing'] {
  if (registered !== undefined && registered.copiedBecause !== '') return 'copied';
  return regions.some((region) => region.handle.kind === 'file') ? 'mapped' : 'memory';
}

/** With `auto`, what keeps memory from being pinned makes this a TCP seed that says why; with `rdma` it is an error. */
async function registerOn(
  rails: Rails,
  content: SeedContent,
  host: string,
  options: SeedOptions,
): Promise<{ layout: Layout; registered: Registered | undefined; reason: string }> {
  const { logger = silentLogger } = options;
  if (rails.nics.length === 0) return { layout: layOut(content, [], host), registered: undefined, reason: rails.reason };
  try {
    const layout = layOut(content, rails.nics, host);
    return { layout, registered: await register(rails.nics, content, layout.ranges, logger), reason: '' };
  } catch (error) {
    const ours = toWeightcastError(error);
    if (options.transport === 'rdma') throw ours;
    logger.warn('RDMA is not offered', { reason: ours.message });
    return { layout: layOut(content, [], host), registered: undefined, reason: ours.message };
  }
}

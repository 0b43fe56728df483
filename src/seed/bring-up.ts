/** The steps that make a seed, in order, and what each leaves to be closed. */
import { randomBytes } from 'node:crypto';
import { throwIfAborted } from '../errors.js';
import { defaultHost } from '../handshake/index.js';
import { completeIdentity, mxSourceId } from '../identity/index.js';
import { silentLogger } from '../observe/logger.js';
import { Locality, type NumaSummary } from '../locality.js';
import { closeRails, openRails } from '../rails.js';
import { arrange } from './arrange.js';
import type { Announcer, Beginning, Cleanup } from './announce/announcer.js';
import { RegistryAnnouncer } from './announce/registry.js';
import { SglangAnnouncer } from './announce/sglang.js';
import type { SeedContent } from './content.js';
import { SeedDataPlane } from './data-plane.js';
import { dataPlaneHealth } from './health.js';
import { checksumTensors, descriptorsOf, manifestOf } from './manifest.js';
import type { SeedOptions, SeedPhase, SeedSummary } from './options.js';
import { registerOn, type Readable } from './register-all.js';

/** A seed that is up. */
export interface BroughtUp {
  readonly summary: SeedSummary;
  /** Its counters can also be asked for after it was closed. */
  readonly plane: SeedDataPlane;
}

/** Opens everything in order; what it opened is in `cleanups`, whether it returns or throws. */
export async function bringUp(load: () => Promise<SeedContent>, options: SeedOptions, cleanups: Cleanup[]): Promise<BroughtUp> {
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
  const content = laidOut(await phase('open', load));
  const opened = new Set(content.regions);
  cleanups.push(() => {
    // Copies that took a region's place are nobody else's.
    for (const region of content.regions) if (!opened.has(region)) region.close();
    content.close();
  });
  // A list that is too large is found out before anything is registered.
  const notes = announcers.flatMap((announcer) => announcer.check(content, options));
  for (const note of notes) logger.warn(note);
  const open = await openRails({ transport, devices: options.devices, gidIndex: options.gidIndex });
  cleanups.push(() => closeRails(open));
  const { rails, preferred } = await arrange(open, content);
  const devices = rails.nics.map((nic) => nic.device);
  const locality = await Locality.of(devices);
  const readable = await phase('register', () => registerOn(rails, content, host, options, locality.memoryNear(devices)));
  const { layout, registered, reason, deviceMemory } = readable;
  if (layout.note !== '') logger.info(layout.note);
  if (registered !== undefined) cleanups.push(() => registered.close());
  const nics = registered === undefined ? [] : rails.nics;
  const ports = registered === undefined ? [] : rails.ports;

  const verifiable = announcers.some((announcer) => announcer.carriesChecksums);
  const compute = verifiable && options.checksums !== false && content.checksums === undefined;
  const checksums = compute ? await phase('checksum', () => checksumTensors(content, signal)) : content.checksums;
  const manifest = await manifestOf(content, checksums);

  const { ranges } = layout;
  // What answers with the processor cannot load an accelerator's memory.
  const direct = deviceMemory !== undefined && deviceMemory.path !== 'staging';
  const tcp = transport !== 'rdma' && !direct;
  const directNotes = direct && transport === 'auto' ? [rdmaOnly(deviceMemory.devices)] : [];
  const plane = await SeedDataPlane.open({
    host,
    nics,
    preferred,
    content,
    ranges,
    registered,
    tcp,
    zeroCopy: options.zeroCopy ?? 'auto',
    local: (options.local ?? transport === 'auto') && !direct,
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

  const numa = registered === undefined ? undefined : numaOf(locality, devices, content);
  const summary: SeedSummary = {
    sourceId: mxSourceId(identity),
    workerId,
    rank,
    sessionId: plane.sessionId,
    workerEndpoint: '',
    manifest: 'none',
    ...told,
    transports: [
      ...(nics.length > 0 ? (['rdma'] as const) : []),
      ...(tcp ? (['tcp'] as const) : []),
      ...(plane.local ? (['local'] as const) : []),
    ],
    devices: nics.map((nic) => nic.device),
    softwareDevices: nics.length > 0 ? rails.softwareDevices : [],
    transportReason: reason,
    tensors: tensors.length,
    bytes: content.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0n),
    ...backingOf(content, readable),
    ...(deviceMemory !== undefined && { deviceMemory }),
    ...(numa !== undefined && { numa }),
    registrations: registered === undefined ? 0 : layout.ranges.length,
    phases,
    notes: [...notes, ...directNotes, ...(layout.note === '' ? [] : [layout.note]), ...plane.notes],
  };
  return { summary, plane };
}

/** In the order in which peers are told; what was told last is taken back first. */
async function openAnnouncers(beginning: Beginning): Promise<Announcer[]> {
  const { server, sglang } = beginning.options;
  return [
    ...(server === undefined ? [] : [await RegistryAnnouncer.open(server, beginning)]),
    ...(sglang === undefined ? [] : [await SglangAnnouncer.open(sglang, beginning)]),
  ];
}

function backingOf({ regions }: SeedContent, { registered, deviceMemory }: Readable): Pick<SeedSummary, 'backing' | 'copiedBecause'> {
  const staged = deviceMemory?.path === 'staging' ? deviceMemory.reason || 'staging was asked for' : '';
  const copiedBecause = [registered?.copiedBecause ?? '', staged].filter((reason) => reason !== '').join('; ');
  if (copiedBecause !== '') return { backing: 'copied', copiedBecause };
  if (regions.some((region) => region.device !== undefined)) return { backing: 'device', copiedBecause };
  return { backing: regions.some((region) => region.handle.kind === 'file') ? 'mapped' : 'memory', copiedBecause };
}

/** With what is known of weights that lie in the memory of accelerators. AMD's have no name that peers agree on. */
function laidOut(content: SeedContent): SeedContent {
  const kinds = new Set(content.regions.map((region) => region.handle.device?.kind));
  return kinds.size === 1 && kinds.has('cuda') ? { ...content, residence: 'cuda' } : content;
}

function rdmaOnly(devices: readonly string[]): string {
  return (
    `weights in the memory of ${devices.join(', ')} are read by RDMA only; TCP and the local transport would need a copy of them in host ` +
    'memory, which devicePath "staging" makes'
  );
}

/** A seed has no threads to keep near a device. */
function numaOf(locality: Locality, devices: readonly string[], { regions }: SeedContent): NumaSummary | undefined {
  const numa = locality.summary(
    devices,
    regions.map((region) => region.handle),
  );
  const reason = 'it reads by itself: no thread of the seed serves it';
  return numa === undefined ? undefined : { ...numa, nics: numa.nics.map((nic) => ({ ...nic, processors: '', reason })) };
}

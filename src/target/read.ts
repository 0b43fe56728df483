/** The bytes of one source: from its descriptor to a destination that has them all. */
import type { Hashing } from '../checksum.js';
import { deviceName } from '../device/device.js';
import { WeightcastError, toWeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import { anyMemory, type Locality } from '../locality.js';
import type { Rails } from '../rails.js';
import { withinBudget } from './budget.js';
import { matchExpected, type Catalog, type CatalogTensor } from './catalog.js';
import { connectLocal, openLocal } from './connect-local.js';
import { decideTransport, transportAsked, type TransportDecision } from './decide.js';
import type { DestinationWriter, Placement } from './destinations/index.js';
import type { Source } from './discovery/discovery.js';
import { firstRead } from './first-read.js';
import { confirm, explained, type ReadBy } from './freshness.js';
import type { LocalEnd } from './local-end.js';
import { openWire, type OpenWire } from './open-wire.js';
import type { PullResult, PullSettings } from './options.js';
import { mapTensors } from './mapped.js';
import type { PullClock } from './progress.js';
import { Scope } from './scope.js';
import { comparisonOf, verify, type Comparison } from './verify.js';
import { hashingLater, nothingRead, transfer, type WireResult } from './wire.js';

/** Defaults of {@link PullSettings}, with their reasons there. */
const defaults = { readsInFlight: 16, connections: 4, stallTimeoutMs: 10_000 };

/** What all reads of a pull share; opened once, before the first. */
export interface ReadContext {
  readonly options: PullSettings;
  /** Makes the destination of one attempt; none: the tensors are mapped where they are. */
  readonly writer: (() => DestinationWriter) | undefined;
  readonly rails: Rails;
  readonly locality: Locality;
  readonly local: LocalEnd;
  readonly clock: PullClock;
  /** Hears which transport an attempt uses, as soon as it is known. */
  readonly onTransport: (transport: TransportDecision['transport']) => void;
}

/** What an attempt that succeeded leaves for the result. */
export interface Pulled {
  readonly source: Source;
  readonly placement: Placement;
  readonly wire: WireResult;
  readonly opened: OpenWire;
  readonly verified: PullResult['verified'];
  readonly output: PullResult['output'];
  readonly notes: readonly string[];
}

/**
 * Reads a source. The destination is given up where that fails.
 * @throws SourceChanged when it failed since the source is not what it was, or nothing vouches for what came and the source is
 * not what it was; else what failed.
 */
export async function read(source: Source, context: ReadContext): Promise<Pulled> {
  const { options, rails, local, clock } = context;
  const { catalog, peer } = source;
  if (options.expect !== undefined) matchExpected(catalog, options.expect);
  const fetch: ReadBy['fetch'] = (signal) => local.fetchPeer(peer, rails.nics.length > 0 ? 'rdma' : 'tcp', signal);
  let descriptor: SegmentDescriptor | undefined;
  try {
    descriptor = await clock.phase('connect', () => fetch(options.signal));
    return await readAll({ source, descriptor, fetch }, context);
  } catch (error) {
    throw await explained(error, { source, descriptor, fetch }, options.signal);
  }
}

type Described = ReadBy & { readonly descriptor: SegmentDescriptor };

/** Without a wire where that can be, else over one. */
async function readAll(readBy: Described, { writer, ...shared }: ReadContext): Promise<Pulled> {
  const { descriptor, source } = readBy;
  if (writer === undefined) return mapAll(readBy, shared);
  const context = { ...shared, writer };
  const asked = transportAsked(context.options);
  if (asked === 'rdma' || asked === 'tcp')
    return readBytes(readBy, decideTransport(asked, context.rails, descriptor, source.peer), context);
  const { peer, reason } = await context.clock.phase('connect', () => openLocal(asked, descriptor, source.peer));
  if (peer === undefined) {
    const pulled = await readBytes(readBy, decideTransport('auto', context.rails, descriptor, source.peer), context);
    return reason === '' ? pulled : { ...pulled, notes: [`not read without a wire: ${reason}`, ...pulled.notes] };
  }
  try {
    return await readBytes(readBy, { transport: 'local', peer }, context);
  } finally {
    await peer.close();
  }
}

/** Nothing is read, so that nothing need be right yet but where the tensors are. */
async function mapAll({ source, descriptor }: Described, context: Omit<ReadContext, 'writer'>): Promise<Pulled> {
  const { clock, options } = context;
  const { peer: seed } = await clock.phase('connect', () => openLocal('local', descriptor, source.peer));
  if (seed === undefined) throw new WeightcastError('ERR_INTERNAL', 'no local peer');
  const decision = { transport: 'local', peer: seed } as const;
  context.onTransport('local');
  try {
    const mapped = await clock.phase('prepare', () => mapTensors(source.catalog, seed, source.peer));
    try {
      const comparison = comparisonOf(mapped.placement, options.verify === undefined ? 'none' : extentOf(options));
      const verified =
        comparison.rows.length > 0
          ? await clock.phase('verify', () => verifyMapped(mapped.placement, comparison, source.peer, context))
          : undefined;
      await releaseLease(source);
      const mappedNote = verified === undefined ? ['nothing was compared: the tensors were mapped, not read'] : [];
      const notes = [...source.notes, ...sampleNote(verified), ...mappedNote];
      const connection = { ...connectLocal(seed), lanes: [] };
      const opened = { connection, decision, sliceBytes: connection.sliceBytes, staging: undefined, deviceMemory: undefined };
      const { placement, output } = mapped;
      return { source, placement, wire: nothingRead(source.catalog.bytes), opened, verified, output, notes };
    } catch (error) {
      mapped.close();
      throw error;
    }
  } finally {
    await seed.close();
  }
}

/** Reads all of a placement; with the checksums of these of its tensors, by index. */
type ReadInto = (placement: Placement, checksums: readonly number[]) => Promise<Pick<Pulled, 'opened' | 'wire'>>;

type Writing = Omit<ReadContext, 'writer'> & { readonly writer: () => DestinationWriter };

async function readBytes(readBy: Described, decided: TransportDecision, context: Writing): Promise<Pulled> {
  const { source, descriptor } = readBy;
  const { options, rails, locality, local, clock } = context;
  const { catalog, peer } = source;
  const { sliceBytes, devicePath = 'auto' } = options;
  const memory = decided.transport === 'rdma' ? locality.memoryNear(decided.pairs.map(({ nic }) => nic.device)) : anyMemory;
  const setup = {
    ...{ local, descriptor, asked: transportAsked(options), nics: rails.nics, named: options.devices !== undefined },
    ...{ devicePath, sliceBytes, memory, options: connectOptions(context, peer) },
  };

  const writer = context.writer();
  try {
    const prepared = await clock.phase('prepare', () => writer.prepare(catalog, memory));
    const readInto: ReadInto = (placement, checksums) => readOnce(decided, { ...setup, placement }, checksums, context);
    const known = options.verify === 'twice' ? await readFirst(prepared, readInto, peer, context) : new Map<CatalogTensor, CatalogTensor>();
    const withChecksums = (tensors: readonly CatalogTensor[]): CatalogTensor[] => tensors.map((tensor) => known.get(tensor) ?? tensor);
    const placement = { ...prepared, tensors: withChecksums(prepared.tensors) };
    const comparison = comparisonOf(placement, extentOf(options));
    const { opened, wire } = await readInto(placement, comparison.rows);
    const held = await releaseLease(source);
    await flushOnce(prepared.regions, opened);
    const verified = await clock.phase('verify', async () => {
      if (!isVouchedFor(source, placement, options)) await confirm(readBy, reconnectsOf(wire), options.signal);
      return verifyRows(placement, comparison, wire.hashing, peer, context);
    });
    if (!held && (verified === undefined || verified.sampleOf !== undefined)) throw leaseLost(peer, verified);
    const output = await clock.phase('write', () =>
      commit(writer, { ...catalog, tensors: withChecksums(catalog.tensors) }, source.fetchFile, context),
    );
    const notes = [
      ...source.notes,
      ...opened.connection.notes,
      ...(held ? [] : ["the seed's lease had ended before the read did; the checksums agree all the same"]),
      ...twiceNote(verified),
      ...sampleNote(verified),
      ...(verified === undefined && options.verify !== false ? ['nothing was verified: the seed publishes no checksums'] : []),
      ...writer.notes,
    ];
    return { source, placement, wire, opened, verified, output, notes };
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** After the last read, so that work which already runs on an accelerator sees what NICs wrote there; each device once. */
async function flushOnce(regions: Placement['regions'], { deviceMemory }: OpenWire): Promise<void> {
  if (deviceMemory === undefined || deviceMemory.path === 'staging') return;
  const oneEach = new Map(regions.flatMap((region) => (region.device === undefined ? [] : [[deviceName(region.device), region] as const])));
  try {
    await Promise.all([...oneEach.values()].map((region) => region.flush()));
  } catch (error) {
    throw toWeightcastError(error, { doing: 'cannot make what was read visible to its accelerator' });
  }
}

/** By the seed's promise not to change while it is read, or by its own checksums of every tensor: a sample does not do. */
function isVouchedFor({ lease }: Source, { tensors }: Placement, { verify: how }: PullSettings): boolean {
  const compared = how !== false && how !== 'sampled';
  return lease !== undefined || (compared && tensors.every((tensor) => tensor.checksum !== undefined && tensor.readTwice !== true));
}

function reconnectsOf({ outcome }: WireResult): number {
  return outcome.lanes.reduce((sum, lane) => sum + lane.reconnects, 0);
}

/** Connects, reads and disconnects: queue pairs and registrations of the memory are gone before the memory is used or goes. */
async function readOnce(
  decided: TransportDecision,
  setup: Parameters<typeof openWire>[1],
  checksums: readonly number[],
  context: Omit<ReadContext, 'writer'>,
): Promise<Pick<Pulled, 'opened' | 'wire'>> {
  const { clock } = context;
  const scope = new Scope();
  try {
    const opened = await openWire(decided, setup, clock, scope);
    context.onTransport(opened.decision.transport);
    const wire = await clock.phase('wire', () => transferAll(opened, setup.placement, checksums, setup.options.sessionId, context));
    return { opened, wire };
  } finally {
    await scope.close();
  }
}

function readFirst(
  placement: Placement,
  readInto: ReadInto,
  peer: string,
  { options, clock }: Omit<ReadContext, 'writer'>,
): ReturnType<typeof firstRead> {
  return firstRead(placement, {
    readInto: async (bare) => (await readInto(bare, [...bare.tensors.keys()])).wire.hashing,
    phase: (work) => clock.phase('verify', () => work((bytes, total) => clock.tell('verify', bytes, total))),
    peer,
    signal: options.signal,
  });
}

function connectOptions({ options, locality }: Writing, peer: string): Parameters<typeof openWire>[1]['options'] {
  return {
    sessionId: peer,
    queuePairs: options.queuePairs,
    readsInFlight: options.readsInFlight ?? defaults.readsInFlight,
    connections: options.connections ?? defaults.connections,
    stallTimeoutMs: options.stallTimeoutMs ?? defaults.stallTimeoutMs,
    processorsOf: (device) => locality.processorsOf(device),
    signal: options.signal,
  };
}

function transferAll(
  opened: OpenWire,
  placement: Placement,
  checksums: readonly number[],
  peer: string,
  { options, clock }: Omit<ReadContext, 'writer'>,
): Promise<WireResult> {
  return withinBudget(options.transferTimeoutMs, options.signal, peer, (signal) =>
    transfer(opened, placement, {
      merge: options.perTensor !== true,
      checksums,
      peer,
      signal,
      onProgress: (bytes, total) => {
        clock.tell('wire', bytes, total);
      },
    }),
  );
}

/** False when the worker had ended it before. A worker that is gone by now changed nothing while it was read. */
async function releaseLease({ lease }: Source): Promise<boolean> {
  return (await lease?.release().catch(() => true)) ?? true;
}

function leaseLost(peer: string, verified: PullResult['verified']): WeightcastError {
  const but = verified === undefined ? 'nothing was compared with checksums' : 'only a sample was compared with its checksums';
  return new WeightcastError(
    'ERR_SOURCE_GONE',
    `the lease that ${peer} gave ended before the read did, and ${but}: its tensors may have changed meanwhile`,
    { peer },
  );
}

function extentOf({ verify: how }: PullSettings): Parameters<typeof comparisonOf>[1] {
  if (how === false) return 'none';
  return how === 'sampled' ? 'sampled' : 'all';
}

function verifyMapped(
  placement: Placement,
  comparison: Comparison,
  peer: string,
  context: Parameters<typeof verifyRows>[4],
): Promise<PullResult['verified']> {
  return verifyRows(placement, comparison, hashingLater(placement, comparison.rows), peer, context);
}

function verifyRows(
  placement: Placement,
  comparison: Comparison,
  hashing: Hashing,
  peer: string,
  { options, clock }: Omit<ReadContext, 'writer'>,
): Promise<PullResult['verified']> {
  return verify(placement, comparison, hashing, {
    peer,
    signal: options.signal,
    onProgress: (bytes, total) => {
      clock.tell('verify', bytes, total);
    },
  });
}

function sampleNote(verified: PullResult['verified']): string[] {
  if (verified?.sampleOf === undefined) return [];
  return [`${String(verified.tensors)} of ${String(verified.sampleOf)} tensors were compared with the seed's checksums: a sample`];
}

function twiceNote(verified: PullResult['verified']): string[] {
  const bytes = verified?.bytesReadTwice ?? 0n;
  return bytes === 0n ? [] : [`the seed publishes no checksums of ${String(bytes)} bytes: they were read twice, and both reads compared`];
}

function commit(
  writer: DestinationWriter,
  catalog: Catalog,
  fetchFile: Source['fetchFile'],
  { options, clock }: Omit<ReadContext, 'writer'>,
): Promise<PullResult['output']> {
  let written = 0n;
  const progress = (bytes: bigint): void => {
    written += bytes;
    clock.tell('write', written, catalog.bytes);
  };
  return writer.commit(catalog, fetchFile, progress, options.signal);
}

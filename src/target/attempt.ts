/** One source, start to end: everything that it opened is given back, and nothing is left where it failed. */
import { WeightcastError } from '../errors.js';
import type { SourceIdentity, SourceInstanceRef } from '../gen/model_express/p2p.js';
import type { MetadataClient } from '../metadata/client.js';
import type { Rails } from '../rails.js';
import { withinBudget } from './budget.js';
import { matchExpected, type Catalog, type CatalogTensor } from './catalog.js';
import { decideTransport, type TransportDecision } from './decide.js';
import type { DestinationWriter, Placement } from './destinations/index.js';
import { firstRead } from './first-read.js';
import type { LocalEnd } from './local-end.js';
import { openWire, type OpenWire } from './open-wire.js';
import type { PullOptions, PullResult } from './options.js';
import type { PullClock } from './progress.js';
import { Scope } from './scope.js';
import { openSource, type Source } from './source.js';
import type { Unreadable } from './try-sources.js';
import { verify } from './verify.js';
import { transfer, type WireResult } from './wire.js';

/** Defaults of {@link PullOptions}, with their reasons there. */
const defaults = { readsInFlight: 16, connections: 4, stallTimeoutMs: 10_000, sliceBytes: 1 << 20 };

/** What all attempts of a pull share; opened once, before the first. */
export interface AttemptContext {
  readonly options: PullOptions;
  /** Makes the destination of one attempt. */
  readonly writer: () => DestinationWriter;
  readonly identity: SourceIdentity;
  readonly client: MetadataClient;
  readonly rails: Rails;
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

/** Reads one source into a destination of its own. */
export async function attempt(candidate: SourceInstanceRef, context: AttemptContext): Promise<Pulled | Unreadable> {
  const { options, identity, client, clock } = context;
  const scope = new Scope();
  clock.startAttempt();
  try {
    const { accelerator = '', security, signal } = options;
    const source = await clock.phase('discover', () => openSource(candidate, { client, identity, accelerator, security, signal }, scope));
    return 'unreadable' in source ? source : await read(source, context, scope);
  } finally {
    await scope.close();
  }
}

async function read(source: Source, context: AttemptContext, scope: Scope): Promise<Pulled> {
  const { options, rails, local, clock } = context;
  const { catalog, peer } = source;
  if (options.expect !== undefined) matchExpected(catalog, options.expect);
  const asked = options.transport ?? 'auto';
  const descriptor = await clock.phase('connect', () => local.fetchPeer(peer, rails.nics.length > 0 ? 'rdma' : 'tcp', options.signal));
  const decided = decideTransport(asked, rails, descriptor, peer);

  const writer = context.writer();
  try {
    const prepared = await clock.phase('prepare', () => writer.prepare(catalog));
    const readInto = (placement: Placement): Promise<Pick<Pulled, 'opened' | 'wire'>> =>
      readOnce(decided, { local, descriptor, placement, asked, options: connectOptions(options, peer) }, context);
    const known = options.verify === 'twice' ? await readFirst(prepared, readInto, peer, context) : new Map<CatalogTensor, CatalogTensor>();
    const withChecksums = (tensors: readonly CatalogTensor[]): CatalogTensor[] => tensors.map((tensor) => known.get(tensor) ?? tensor);
    const placement = { ...prepared, tensors: withChecksums(prepared.tensors) };
    const { opened, wire } = await readInto(placement);
    const held = await releaseLease(source);
    const verified = await clock.phase('verify', () => verifyAll(placement, peer, context));
    if (!held && verified === undefined) throw leaseLost(peer);
    const output = await clock.phase('write', () => commit(writer, { ...catalog, tensors: withChecksums(catalog.tensors) }, source.fetchFile, context));
    const notes = [
      ...source.notes,
      ...opened.connection.notes,
      ...(held ? [] : ["the seed's lease had ended before the read did; the checksums agree all the same"]),
      ...twiceNote(verified),
      ...(verified === undefined && options.verify !== false ? ['nothing was verified: the seed publishes no checksums'] : []),
      ...writer.notes,
    ];
    return { source, placement, wire, opened, verified, output, notes };
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** Connects, reads and disconnects: queue pairs and registrations of the memory are gone before the memory is used or goes. */
async function readOnce(
  decided: TransportDecision,
  setup: Parameters<typeof openWire>[1],
  context: AttemptContext,
): Promise<Pick<Pulled, 'opened' | 'wire'>> {
  const { clock } = context;
  const scope = new Scope();
  try {
    const opened = await openWire(decided, setup, clock, scope);
    context.onTransport(opened.decision.transport);
    const wire = await clock.phase('wire', () => transferAll(opened, setup.placement, setup.options.sessionId, context));
    return { opened, wire };
  } finally {
    await scope.close();
  }
}

function readFirst(
  placement: Placement,
  readInto: (placement: Placement) => Promise<unknown>,
  peer: string,
  { options, clock }: AttemptContext,
): ReturnType<typeof firstRead> {
  return firstRead(placement, {
    readInto,
    phase: (work) => clock.phase('verify', () => work((bytes, total) => clock.tell('verify', bytes, total))),
    peer,
    signal: options.signal,
  });
}

function connectOptions(options: PullOptions, peer: string): Parameters<typeof openWire>[1]['options'] {
  return {
    sessionId: peer,
    queuePairs: options.queuePairs,
    readsInFlight: options.readsInFlight ?? defaults.readsInFlight,
    connections: options.connections ?? defaults.connections,
    stallTimeoutMs: options.stallTimeoutMs ?? defaults.stallTimeoutMs,
    signal: options.signal,
  };
}

function transferAll(
  { connection }: OpenWire,
  placement: Placement,
  peer: string,
  { options, clock }: AttemptContext,
): Promise<WireResult> {
  return withinBudget(options.transferTimeoutMs, options.signal, peer, (signal) =>
    transfer(connection, placement, {
      sliceBytes: options.sliceBytes ?? defaults.sliceBytes,
      merge: options.perTensor !== true,
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

function leaseLost(peer: string): WeightcastError {
  return new WeightcastError(
    'ERR_SOURCE_GONE',
    `the lease that ${peer} gave ended before the read did, and it publishes no checksums: its tensors may have changed meanwhile`,
    { peer },
  );
}

async function verifyAll(placement: Placement, peer: string, { options, clock }: AttemptContext): Promise<PullResult['verified']> {
  if (options.verify === false) return undefined;
  return verify(placement, peer, options.signal, (bytes, total) => {
    clock.tell('verify', bytes, total);
  });
}

function twiceNote(verified: PullResult['verified']): string[] {
  const bytes = verified?.bytesReadTwice ?? 0n;
  return bytes === 0n ? [] : [`the seed publishes no checksums of ${String(bytes)} bytes: they were read twice, and both reads compared`];
}

function commit(
  writer: DestinationWriter,
  catalog: Catalog,
  fetchFile: Source['fetchFile'],
  { options, clock }: AttemptContext,
): Promise<PullResult['output']> {
  let written = 0n;
  const progress = (bytes: bigint): void => {
    written += bytes;
    clock.tell('write', written, catalog.bytes);
  };
  return writer.commit(catalog, fetchFile, progress, options.signal);
}

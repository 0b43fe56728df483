/** One pull, start to end. Every step's resources are given back, however it ends. */
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import { SourceIdentity, type WorkerMetadata } from '../gen/model_express/p2p.js';
import { defaultHost } from '../handshake/index.js';
import { MetadataClient } from '../metadata/client.js';
import { WorkerClient } from '../metadata/worker/client.js';
import { closeRails, openRails, type Rails } from '../rails.js';
import { makeCatalog, matchExpected, type Catalog } from './catalog.js';
import { connectRdma, registerLocal } from './connect-rdma.js';
import { connectTcp } from './connect-tcp.js';
import type { Connection } from './connection.js';
import { decideTransport, type TransportDecision } from './decide.js';
import { destinationWriter, type DestinationWriter, type Placement } from './destinations/index.js';
import { discover, type Discovered } from './discover.js';
import { LocalEnd } from './local-end.js';
import type { LaneResult, PullOptions, PullPhase, PullProgress, PullResult } from './options.js';
import { verify } from './verify.js';
import { transfer, type WireResult } from './wire.js';

/** Defaults of {@link PullOptions}, with their reasons there. */
const DEFAULTS = { readsInFlight: 16, connections: 4, stallTimeoutMs: 10_000, rdmaSliceBytes: 1 << 20, tcpSliceBytes: 1 << 20 };

export async function runPull(options: PullOptions, report: (progress: PullProgress) => void): Promise<PullResult> {
  const writer = destinationWriter(options.into);
  const scope = new Scope();
  try {
    const result = await new Steps(options, writer, scope, report).run();
    await scope.close();
    return result;
  } catch (error) {
    await scope.close();
    await writer.abandon();
    throw toWeightcastError(error, { doing: 'pull' });
  }
}

/** What was opened, closed in reverse order. */
class Scope {
  private readonly cleanups: (() => Promise<void> | void)[] = [];

  add(cleanup: () => Promise<void> | void): void {
    this.cleanups.push(cleanup);
  }

  async close(): Promise<void> {
    for (const cleanup of this.cleanups.splice(0).reverse()) {
      try {
        await cleanup();
      } catch {
        // The rest must be closed too, and the pull's own outcome is what the caller asked for.
      }
    }
  }
}

class Steps {
  private readonly started = performance.now();
  private readonly phases: Record<PullPhase, number> = { discover: 0, prepare: 0, register: 0, connect: 0, wire: 0, verify: 0, write: 0 };
  private readonly notes: string[] = [];

  constructor(
    private readonly options: PullOptions,
    private readonly writer: DestinationWriter,
    private readonly scope: Scope,
    private readonly report: (progress: PullProgress) => void,
  ) {}

  async run(): Promise<PullResult> {
    const { options, scope } = this;
    const { found, catalog, worker } = await this.phase('discover', () => this.findSource());
    if (options.expect !== undefined) matchExpected(catalog, options.expect);

    const peer = sessionOf(found.worker);
    const rails = await openRails({ transport: options.transport ?? 'auto', devices: options.devices, gidIndex: options.gidIndex });
    scope.add(() => closeRails(rails));
    const local = await LocalEnd.open(options.host ?? (await defaultHost()), rails.nics);
    scope.add(() => local.close());
    const descriptor = await this.phase('connect', () => local.fetchPeer(peer, rails.nics.length > 0 ? 'rdma' : 'tcp', options.signal));
    const decision = decideTransport(options.transport ?? 'auto', rails, descriptor, peer);

    const placement = await this.phase('prepare', () => this.writer.prepare(catalog));
    const nics = decision.transport === 'rdma' ? decision.pairs.map((pair) => pair.nic) : [];
    const registrations = await this.phase('register', () => registerLocal(nics, placement.regions, spansOf(placement)));
    scope.add(async () => {
      await Promise.all(registrations.flat().map((registration) => registration.close()));
    });
    const connectOptions = {
      sessionId: peer,
      queuePairs: options.queuePairs,
      readsInFlight: options.readsInFlight ?? DEFAULTS.readsInFlight,
      connections: options.connections ?? DEFAULTS.connections,
      stallTimeoutMs: options.stallTimeoutMs ?? DEFAULTS.stallTimeoutMs,
      signal: options.signal,
    };
    const connection = await this.phase('connect', () =>
      decision.transport === 'rdma'
        ? connectRdma(local, descriptor, decision.pairs, registrations, connectOptions)
        : connectTcp(descriptor, connectOptions),
    );
    scope.add(() => connection.close());
    this.notes.push(...connection.notes);

    const wire = await this.phase('wire', () => this.transfer(connection, placement, peer));
    const verified = await this.phase('verify', () => this.verify(placement, peer));
    const output = await this.phase('write', () => {
      let written = 0n;
      const progress = (bytes: bigint): void => {
        written += bytes;
        this.tell('write', written, catalog.bytes);
      };
      return this.writer.commit(catalog, worker && ((name) => worker.modelFile(name, options.signal)), progress, options.signal);
    });
    this.notes.push(...this.writer.notes);
    return this.summary({ found, catalog, placement, rails, decision, connection, wire, verified, output });
  }

  /** A READY worker, its tensors and, if it has them, its extras. */
  private async findSource(): Promise<{ found: Discovered; catalog: Catalog; worker: WorkerClient | undefined }> {
    const { options, scope } = this;
    const client = new MetadataClient(options.server);
    scope.add(() => {
      client.close();
    });
    const identity = SourceIdentity.fromPartial(options.identity);
    const found = await discover({ client, identity, rank: options.rank ?? 0, waitMs: options.waitMs ?? 0, signal: options.signal });
    const endpoint = found.worker.workerGrpcEndpoint;
    const worker = endpoint === '' ? undefined : new WorkerClient(endpoint);
    if (worker !== undefined) {
      scope.add(() => {
        worker.close();
      });
    }
    const manifest = await worker?.modelManifest(found.sourceId, found.workerId, options.signal);
    if (manifest === undefined) this.notes.push('the seed publishes no shapes, checksums or files beside its weights');
    let tensors = found.worker.sourcePayload?.$case === 'tensorSource' ? found.worker.sourcePayload.value.tensors : found.worker.tensors;
    if (tensors.length === 0 && worker !== undefined)
      tensors = (await worker.tensorManifest(found.sourceId, found.workerId, options.signal)).tensors;
    return { found, catalog: makeCatalog(sessionOf(found.worker), tensors, manifest), worker: manifest === undefined ? undefined : worker };
  }

  private async transfer(connection: Connection, placement: Placement, peer: string): Promise<WireResult> {
    const { options } = this;
    return transfer(connection, placement, {
      sliceBytes: options.sliceBytes ?? (connection.transport === 'rdma' ? DEFAULTS.rdmaSliceBytes : DEFAULTS.tcpSliceBytes),
      merge: options.perTensor !== true,
      peer,
      signal: options.signal,
      onProgress: (bytes, total) => {
        this.tell('wire', bytes, total);
      },
    });
  }

  private async verify(placement: Placement, peer: string): Promise<PullResult['verified']> {
    if (this.options.verify === false) return undefined;
    const verified = await verify(placement, peer, this.options.signal, (bytes, total) => {
      this.tell('verify', bytes, total);
    });
    if (verified === undefined) this.notes.push('nothing was verified: the seed publishes no checksums');
    return verified;
  }

  private async phase<T>(name: PullPhase, work: () => Promise<T>): Promise<T> {
    throwIfAborted(this.options.signal, `pull: ${name}`);
    this.tell(name, 0n, 0n);
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.phases[name] += performance.now() - start;
    }
  }

  private tell(phase: PullPhase, bytes: bigint, totalBytes: bigint): void {
    this.report({ phase, bytes, totalBytes, elapsedMs: performance.now() - this.started });
  }

  private summary(parts: {
    found: Discovered;
    catalog: Catalog;
    placement: Placement;
    rails: Rails;
    decision: TransportDecision;
    connection: Connection;
    wire: WireResult;
    verified: PullResult['verified'];
    output: PullResult['output'];
  }): PullResult {
    const { found, placement, connection, wire, decision } = parts;
    const lanes = wire.outcome.lanes.map((lane, index): LaneResult => ({
      name: lane.name,
      localDevice: connection.lanes[index]?.localDevice,
      remoteDevice: connection.lanes[index]?.remoteDevice,
      bytes: lane.bytes,
      workRequests: lane.workRequests,
      firstByteMs: lane.firstByteMs,
      failure: lane.fault?.message ?? '',
    }));
    const { bytes, wireMs } = wire.outcome;
    return {
      sourceId: found.sourceId,
      workerId: found.workerId,
      rank: found.worker.workerRank,
      peer: sessionOf(found.worker),
      tensors: placement.tensors.length,
      bytes,
      transport: connection.transport,
      transportReason: decision.transport === 'tcp' ? decision.reason : '',
      software:
        connection.transport === 'rdma' && connection.lanes.some((lane) => parts.rails.softwareDevices.includes(lane.localDevice ?? '')),
      lanes,
      workRequests: lanes.reduce((sum, lane) => sum + lane.workRequests, 0),
      phases: { ...this.phases },
      totalMs: performance.now() - this.started,
      wireGBps: wireMs > 0 ? Number(bytes) / wireMs / 1e6 : 0,
      registrations: connection.transport === 'rdma' ? placement.regions.length : 0,
      eventLoopMaxDelayMs: wire.eventLoopMaxDelayMs,
      verified: parts.verified,
      notes: this.notes,
      output: parts.output,
    };
  }
}

function sessionOf(worker: WorkerMetadata): string {
  if (worker.backendMetadata?.$case === 'transferEngineSessionId') return worker.backendMetadata.value;
  throw new WeightcastError('ERR_INTERNAL', 'a source without a transfer engine session was chosen');
}

/** The part of each region that is read into. */
function spansOf(placement: Placement): { offset: bigint; length: bigint }[] {
  const spans = placement.regions.map((region) => ({ start: region.byteLength, end: 0n }));
  for (const [index, tensor] of placement.tensors.entries()) {
    const at = placement.at[index];
    const span = at === undefined ? undefined : spans[at.region];
    if (at === undefined || span === undefined || tensor.bytes === 0n) continue;
    if (at.offset < span.start) span.start = at.offset;
    if (at.offset + tensor.bytes > span.end) span.end = at.offset + tensor.bytes;
  }
  return spans.map(({ start, end }) => (end > start ? { offset: start, length: end - start } : { offset: 0n, length: 1n }));
}

/** From "both sides have this transport" to lanes that read. */
import { WeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import type { NativeNic, NativeRegistration } from '../native.js';
import { connectRdma, registerLocal } from './connect-rdma.js';
import { connectLocal } from './connect-local.js';
import { connectTcp } from './connect-tcp.js';
import type { Connection, ConnectOptions } from './connection.js';
import { tcpPort, type TransportDecision } from './decide.js';
import type { Placement } from './destinations/index.js';
import type { LocalEnd } from './local-end.js';
import type { Transport } from './options.js';
import type { PullClock } from './progress.js';
import type { Scope } from './scope.js';

export interface WireSetup {
  readonly local: LocalEnd;
  readonly descriptor: SegmentDescriptor;
  readonly placement: Placement;
  readonly asked: Transport;
  readonly options: ConnectOptions;
}

/** Lanes, and the transport that they really use. */
export interface OpenWire {
  readonly connection: Connection;
  readonly decision: TransportDecision;
}

/** Registers what is read into, where the transport needs it, and connects. What it opens goes to `scope`. */
export async function openWire(decided: TransportDecision, setup: WireSetup, clock: PullClock, scope: Scope): Promise<OpenWire> {
  const { local, descriptor, options } = setup;
  const { decision, registrations } = await clock.phase('register', () => pin(decided, setup, scope));
  const connection = await clock.phase('connect', () =>
    decision.transport === 'local'
      ? Promise.resolve(connectLocal(decision.peer))
      : decision.transport === 'rdma'
        ? connectRdma(local, descriptor, decision.pairs, registrations, options)
        : connectTcp(descriptor, options),
  );
  scope.add(() => connection.close());
  return { connection, decision };
}

interface Pinned {
  readonly decision: TransportDecision;
  readonly registrations: readonly (readonly NativeRegistration[])[];
}

async function pin(decision: TransportDecision, setup: WireSetup, scope: Scope): Promise<Pinned> {
  if (decision.transport !== 'rdma') return { decision, registrations: [] };
  const nics: NativeNic[] = decision.pairs.map((pair) => pair.nic);
  try {
    const registrations = await registerLocal(nics, setup.placement.regions, spansOf(setup.placement));
    scope.add(async () => {
      await Promise.all(registrations.flat().map((registration) => registration.close()));
    });
    return { decision, registrations };
  } catch (error) {
    return { decision: withoutPinning(error, setup), registrations: [] };
  }
}

/** Memory that cannot be pinned is a reason for TCP, where `auto` may choose and the seed offers it; as for seeds. */
function withoutPinning(error: unknown, { asked, descriptor }: WireSetup): TransportDecision {
  const pinning = error instanceof WeightcastError && ['ERR_MEMLOCK_LIMIT', 'ERR_REGISTRATION'].includes(error.code);
  if (!pinning || asked !== 'auto' || tcpPort(descriptor) === 0) throw error;
  return { transport: 'tcp', reason: error.message };
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

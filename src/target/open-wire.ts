/** From "both sides have this transport" to lanes that read. */
import { climb, isRefusal } from '../device/ladder.js';
import { devicesOf, type DeviceMemory, type DevicePathChoice } from '../device/path.js';
import { toWeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import type { HostMemory } from '../locality.js';
import type { NativeNic, NativeRegistration } from '../native.js';
import { connectRdma, registerLocal, rdmaSliceBytes } from './connect-rdma.js';
import { connectLocal } from './connect-local.js';
import { connectTcp } from './connect-tcp.js';
import type { Connection, ConnectOptions } from './connection.js';
import { tcpPort, type TransportDecision } from './decide.js';
import type { Placement } from './destinations/index.js';
import type { LocalEnd } from './local-end.js';
import { openNearest, type Tried } from './near.js';
import type { Transport } from './options.js';
import type { RailPair } from './pairing.js';
import type { PullClock } from './progress.js';
import type { Scope } from './scope.js';
import { openStaging, type Staging } from './staging.js';

export interface WireSetup {
  readonly local: LocalEnd;
  readonly descriptor: SegmentDescriptor;
  readonly placement: Placement;
  readonly asked: Transport;
  /** All that are open. */
  readonly nics: readonly NativeNic[];
  /** Whether they were named: then all are used, wherever they are. */
  readonly named: boolean;
  /** How NICs may get at the memory of accelerators. */
  readonly devicePath: DevicePathChoice;
  /** Largest read; `undefined`: what is worth it with this peer. */
  readonly sliceBytes: number | undefined;
  /** Of the host, for what lands on its way to an accelerator. */
  readonly memory: HostMemory;
  readonly options: ConnectOptions;
}

/** Lanes, and the transport that they really use. */
export interface OpenWire {
  readonly connection: Connection;
  readonly decision: TransportDecision;
  /** Largest read, bytes. */
  readonly sliceBytes: number;
  /** Where reads land first; `undefined`: where they belong. */
  readonly staging: Staging | undefined;
  /** How accelerators' memory is reached; `undefined` where there is none. */
  readonly deviceMemory: DeviceMemory | undefined;
}

/** Registers what is read into, where the transport needs it, and connects. What it opens goes to `scope`. */
export async function openWire(decided: TransportDecision, setup: WireSetup, clock: PullClock, scope: Scope): Promise<OpenWire> {
  const { decision, deviceMemory, connection, ...pinned } = await openLanes(decided, setup, clock, scope);
  const slice = Math.min(setup.sliceBytes ?? connection.sliceBytes, connection.maxMessage);
  const staging =
    deviceMemory?.path === 'staging'
      ? (pinned.staging ?? (await openStaging(connection.transport, connection.lanes.length, slice, setup.memory, scope)))
      : undefined;
  return { connection, decision, sliceBytes: staging?.slotBytes ?? slice, staging, deviceMemory };
}

type Opened = Pinned & { readonly connection: Connection };

/** Of NICs that were not named, the nearest that reach the seed write into accelerators. */
async function openLanes(decided: TransportDecision, setup: WireSetup, clock: PullClock, scope: Scope): Promise<Opened> {
  const { nics, named, descriptor, placement } = setup;
  const register = (pairs: readonly RailPair[]): Promise<Pinned> => clock.phase('register', () => pin(decided, pairs, setup, scope));
  const devices = devicesOf(placement.regions);
  if (decided.transport !== 'rdma' || named || devices.length === 0) {
    const pinned = await register(decided.transport === 'rdma' ? decided.pairs : []);
    return { ...pinned, connection: await connect(pinned, setup, clock, scope) };
  }
  const attempt = async (pairs: readonly RailPair[]): Promise<Tried<Opened>> => {
    const pinned = await register(pairs);
    try {
      return { opened: { ...pinned, connection: await connect(pinned, setup, clock, scope) } };
    } catch (error) {
      // Staging and TCP do not depend on which NICs are near: they had all there are.
      if (!writesDirectly(pinned) || !isOfPath(error)) throw error;
      await Promise.all(pinned.registrations.flat().map((registration) => registration.close()));
      return { unreachable: toWeightcastError(error) };
    }
  };
  const { opened, instead, leftOut } = await openNearest(nics, devices, descriptor, attempt);
  const told = [instead, writesDirectly(opened) ? leftOut : ''].filter((note) => note !== '');
  return { ...opened, connection: { ...opened.connection, notes: [...told, ...opened.connection.notes] } };
}

function writesDirectly({ decision, deviceMemory }: Pinned): boolean {
  return decision.transport === 'rdma' && deviceMemory?.path !== 'staging';
}

/** Whether other NICs may do better: the seed answered, but the queue pairs of the two did not find each other. */
function isOfPath(error: unknown): boolean {
  return ['ERR_VERBS', 'ERR_HANDSHAKE'].includes(toWeightcastError(error).code);
}

async function connect({ decision, registrations }: Pinned, setup: WireSetup, clock: PullClock, scope: Scope): Promise<Connection> {
  const { local, descriptor, options } = setup;
  const connected = await clock.phase('connect', () =>
    decision.transport === 'local'
      ? Promise.resolve(connectLocal(decision.peer))
      : decision.transport === 'rdma'
        ? connectRdma(local, descriptor, decision.pairs, registrations, options)
        : connectTcp(descriptor, options),
  );
  scope.add(() => connected.close());
  return connected;
}

/** What lanes write into, registered where they need that. */
interface Pinned {
  readonly decision: TransportDecision;
  readonly registrations: readonly (readonly NativeRegistration[])[];
  readonly deviceMemory: DeviceMemory | undefined;
  readonly staging?: Staging;
}

/** @param near - the pairs whose NICs write into accelerators themselves, if that is possible. */
async function pin(decision: TransportDecision, near: readonly RailPair[], setup: WireSetup, scope: Scope): Promise<Pinned> {
  if (decision.transport !== 'rdma') return unpinned(decision, setup);
  try {
    return await pinForRdma(decision, near, setup, scope);
  } catch (error) {
    return unpinned(withoutPinning(error, setup), setup);
  }
}

/** What is not RDMA writes with the processor, which cannot write into an accelerator's memory. */
function unpinned(decision: TransportDecision, { placement, devicePath }: WireSetup): Pinned {
  const devices = devicesOf(placement.regions);
  const reason = devicePath === 'staging' ? '' : `only RDMA writes into an accelerator's memory, and this is ${decision.transport}`;
  const deviceMemory = devices.length === 0 ? undefined : ({ devices, path: 'staging', reason } as const);
  return { decision, registrations: [], deviceMemory };
}

type RdmaDecision = TransportDecision & { readonly transport: 'rdma' };

async function pinForRdma(decision: RdmaDecision, near: readonly RailPair[], setup: WireSetup, scope: Scope): Promise<Pinned> {
  const { placement, devicePath } = setup;
  const nics = decision.pairs.map((pair) => pair.nic);
  const spans = spansOf(placement);
  const registered = async (made: Promise<NativeRegistration[][]>): Promise<NativeRegistration[][]> => {
    const registrations = await made;
    scope.add(async () => {
      await Promise.all(registrations.flat().map((registration) => registration.close()));
    });
    return registrations;
  };
  const devices = devicesOf(placement.regions);
  if (devices.length === 0) {
    const registrations = await registered(registerLocal(nics, placement.regions, spans, 'auto'));
    return { decision, registrations, deviceMemory: undefined };
  }
  const nearest = near.map((pair) => pair.nic);
  const climbed = await climb(devicePath, (path) => registered(registerLocal(nearest, placement.regions, spans, path)));
  const deviceMemory = { devices, path: climbed.path, reason: climbed.reason };
  if (climbed.path !== 'staging') {
    return { decision: { ...decision, pairs: near }, registrations: climbed.registered, deviceMemory };
  }
  const slice = Math.min(setup.sliceBytes ?? rdmaSliceBytes, ...nics.map((nic) => nic.maxMessage));
  const staging = await openStaging('rdma', nics.length, slice, setup.memory, scope);
  const { handle } = staging.region;
  const whole = [{ offset: 0n, length: handle.byteLength }];
  return { decision, registrations: await registered(registerLocal(nics, [handle], whole, 'auto')), deviceMemory, staging };
}

/** Memory that cannot be pinned is a reason for TCP, where `auto` may choose and the seed offers it; as for seeds. */
function withoutPinning(error: unknown, { asked, descriptor }: WireSetup): TransportDecision {
  if (!isRefusal(error) || asked !== 'auto' || tcpPort(descriptor) === 0) throw error;
  return { transport: 'tcp', reason: toWeightcastError(error).message };
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

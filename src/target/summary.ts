import type { SourceAttempt } from '../errors.js';
import type { Locality, NumaSummary } from '../locality.js';
import type { Rails } from '../rails.js';
import type { Discovery } from './discovery/discovery.js';
import type { LaneResult, PullResult } from './options.js';
import type { PullClock } from './progress.js';
import type { Pulled } from './read.js';

/** What was opened once for all attempts. */
interface Shared {
  readonly discovery: Discovery;
  readonly rails: Rails;
  readonly locality: Locality;
  readonly clock: PullClock;
}

/** What a pull that succeeded tells its caller. */
export function summarize(pulled: Pulled, attempts: readonly SourceAttempt[], { discovery, rails, locality, clock }: Shared): PullResult {
  const { source, placement, wire, opened } = pulled;
  const { connection, decision } = opened;
  const { bytes, wireMs } = wire.outcome;
  const lanes = wire.outcome.lanes.map((lane, index): LaneResult => ({
    name: lane.name,
    localDevice: connection.lanes[index]?.localDevice,
    remoteDevice: connection.lanes[index]?.remoteDevice,
    bytes: lane.bytes,
    workRequests: lane.workRequests,
    retransmits: lane.retransmits,
    smallestReadBytes: lane.smallestRead === 0 ? undefined : lane.smallestRead,
    firstByteMs: lane.firstByteMs,
    failure: lane.fault?.message ?? '',
  }));
  const rdma = connection.transport === 'rdma';
  const numa = rdma ? numaOf(pulled, locality) : undefined;
  return {
    origin: discovery.origin,
    sourceId: source.sourceId,
    workerId: source.workerId,
    rank: source.rank,
    peer: source.peer,
    accelerator: source.accelerator,
    selector: discovery.selector,
    attempts,
    tensors: placement.tensors.length,
    bytes,
    transport: connection.transport,
    transportReason: decision.transport === 'tcp' ? decision.reason : '',
    software: rdma && connection.lanes.some((lane) => rails.softwareDevices.includes(lane.localDevice ?? '')),
    lanes,
    workRequests: lanes.reduce((sum, lane) => sum + lane.workRequests, 0),
    phases: clock.phases,
    totalMs: clock.totalMs,
    wireGBps: wireMs > 0 ? Number(bytes) / wireMs / 1e6 : 0,
    registrations: !rdma ? 0 : opened.staging === undefined ? placement.regions.length : 1,
    ...(opened.deviceMemory !== undefined && { deviceMemory: opened.deviceMemory }),
    ...(numa !== undefined && { numa }),
    eventLoopMaxDelayMs: wire.eventLoopMaxDelayMs,
    verified: pulled.verified,
    notes: pulled.notes,
    output: pulled.output,
  };
}

function numaOf({ placement, opened, wire }: Pulled, locality: Locality): NumaSummary | undefined {
  const devices = opened.connection.lanes.map((lane) => lane.localDevice ?? '');
  const regions = opened.staging === undefined ? placement.regions : [opened.staging.region.handle];
  const refusals = new Map(wire.outcome.lanes.map((lane, index) => [devices[index] ?? '', lane.affinityRefusal]));
  return locality.summary(devices, regions, refusals);
}

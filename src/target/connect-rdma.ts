/** Queue pairs to a seed, and the registration of what they read into. */
import { toWeightcastError, type WeightcastError } from '../errors.js';
import { openEndpoint, type OpenedEndpoint, type SegmentDescriptor } from '../handshake/index.js';
import { native, type NativeNic, type NativePathChoice, type NativeRegion, type NativeRegistration } from '../native.js';
import type { Connection, ConnectOptions, OpenLane } from './connection.js';
import type { LocalEnd } from './local-end.js';
import type { RailPair } from './pairing.js';

/** One for the clean path, and three that share its reads where packets are lost: a queue pair then mostly waits. */
const queuePairsOfOurs = 4;
/** At 16 in flight enough for 400 Gb/s at more than 300 µs round trip. */
export const rdmaSliceBytes = 1 << 20;
/** Both sides must have the same number. */
const queuePairsOfMooncake = 2;

/** Connects one endpoint a pair and makes its lane. `registrations[i]` are the local regions' on pair i's NIC. */
export async function connectRdma(
  local: LocalEnd,
  descriptor: SegmentDescriptor,
  pairs: readonly RailPair[],
  registrations: readonly (readonly NativeRegistration[])[],
  options: ConnectOptions,
): Promise<Connection> {
  const ours = descriptor.weightcast !== undefined;
  const buffers = descriptor.buffers.filter((buffer) => buffer.readable);
  const opened: OpenedEndpoint[] = [];
  const lanes: OpenLane[] = [];
  const failures: WeightcastError[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(lanes.map((open) => open.lane.close()));
    await Promise.all(opened.map((endpoint) => endpoint.release()));
  };
  const settled = await Promise.allSettled(
    pairs.map((pair) =>
      openEndpoint({
        nic: pair.nic,
        localName: local.name,
        peer: descriptor,
        peerAddress: options.sessionId,
        remoteDevice: pair.remoteDevice,
        queuePairs: options.queuePairs ?? (ours ? queuePairsOfOurs : queuePairsOfMooncake),
        maxReads: options.readsInFlight,
        signal: options.signal,
      }),
    ),
  );
  for (const [index, outcome] of settled.entries()) {
    const pair = pairs[index];
    if (pair === undefined) continue;
    const name = `${pair.nic.device}>${pair.remoteDevice}`;
    if (outcome.status === 'rejected') {
      failures.push(toWeightcastError(outcome.reason, { doing: `cannot connect ${name}`, peer: options.sessionId }));
      continue;
    }
    opened.push(outcome.value);
    const lane = native().createRdmaLane({
      name,
      endpoint: outcome.value.endpoint,
      remoteKeys: Uint32Array.from(buffers, (buffer) => buffer.remoteKeys[pair.remoteIndex] ?? 0),
      registrations: registrations[index] ?? [],
      depth: 0,
      queuePairs: ours && options.queuePairs === undefined ? 1 : 0,
      spinMicroseconds: 50,
      stallTimeoutMs: options.stallTimeoutMs,
      processors: options.processorsOf(pair.nic.device),
    });
    lanes.push({ lane, localDevice: pair.nic.device, remoteDevice: pair.remoteDevice });
  }
  const [failure] = failures;
  if (failure !== undefined && (lanes.length === 0 || failure.code === 'ERR_ABORTED')) {
    await close();
    throw failure;
  }
  return {
    transport: 'rdma',
    lanes,
    bufferAddress: BigUint64Array.from(buffers, (buffer) => buffer.address),
    bufferLength: BigUint64Array.from(buffers, (buffer) => buffer.length),
    maxSegments: Math.min(16, ...pairs.map((pair) => pair.nic.maxSge)),
    maxMessage: Math.min(...pairs.map((pair) => pair.nic.maxMessage)),
    sliceBytes: rdmaSliceBytes,
    notes: failures.map((error) => error.message),
    close,
  };
}

/** One registration a region and NIC, of the part of the region that is read into. `path` is for accelerators' memory. */
export async function registerLocal(
  nics: readonly NativeNic[],
  regions: readonly NativeRegion[],
  spans: readonly { readonly offset: bigint; readonly length: bigint }[],
  path: NativePathChoice,
): Promise<NativeRegistration[][]> {
  const settled = await Promise.allSettled(
    nics.flatMap((nic) =>
      regions.map((region, index) =>
        nic.register(region, spans[index]?.offset ?? 0n, spans[index]?.length ?? region.byteLength, 'local-write', path),
      ),
    ),
  );
  const registrations = settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = settled.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(registrations.map((registration) => registration.close()));
    throw toWeightcastError(failed.reason, { doing: 'cannot register the memory to read into' });
  }
  return nics.map((_, index) => registrations.slice(index * regions.length, (index + 1) * regions.length));
}

/** A seed of this host, which is read without a wire. */
import { availableParallelism } from 'node:os';
import { WeightcastError, toWeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import { native, type NativeLocalPeer } from '../native.js';
import type { Connection } from './connection.js';

/** For a socket that is there but does not answer. Milliseconds. */
const patienceMs = 2000;

/** Two threads take most of a host's memory bandwidth, four nearly all; more would only be in the engine's way. */
const mostLanes = 4;

/**
 * Two threads whose reads meet within a new huge page of the destination both clear it: with reads of 1 MiB, that is each page's
 * two. Into new pages 4 MiB gave 12.5 to 14.0 GB/s and 1 MiB 11.7 to 12.5; into pages that are there 1 to 64 MiB are alike (20 to 22).
 */
const sliceBytes = 4 << 20;

/** The seed, or why it is not read this way; `''` where it is simply elsewhere. The caller closes the peer. */
export interface LocalChoice {
  readonly peer: NativeLocalPeer | undefined;
  readonly reason: string;
}

/**
 * Proves that the seed is on this host by connecting to its socket, which no other host can reach, and asks it for its buffers.
 * @throws ERR_TRANSPORT_UNAVAILABLE where `local` was asked for and cannot be had; with `auto`, what went wrong is the reason.
 */
export async function openLocal(asked: 'auto' | 'local', descriptor: SegmentDescriptor, peer: string): Promise<LocalChoice> {
  const socket = descriptor.weightcast?.local;
  const refused = (reason: string, silent: boolean, cause?: unknown): LocalChoice => {
    if (asked === 'auto') return { peer: undefined, reason: silent ? '' : reason };
    throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} cannot be read without a wire: ${reason}`, { peer, cause });
  };
  if (socket === undefined)
    return refused('it offers no local transport (a seed with --no-local, one of a named transport, or none of ours)', true);
  try {
    return { peer: await native().connectLocal(socket.name, socket.token, patienceMs), reason: '' };
  } catch (error) {
    const { code, message } = toWeightcastError(error);
    return refused(message, code === 'ERR_NOT_FOUND', error);
  }
}

/** Lanes of the peer; each read makes its own, and the peer stays open. */
export function connectLocal(peer: NativeLocalPeer): Connection {
  const count = Math.min(availableParallelism(), mostLanes);
  const lanes = Array.from({ length: count }, (_, index) => ({
    lane: peer.lane(`local #${String(index + 1)}`),
    localDevice: undefined,
    remoteDevice: undefined,
  }));
  return {
    transport: 'local',
    lanes,
    bufferAddress: peer.bufferAddress,
    bufferLength: peer.bufferLength,
    // IOV_MAX of Linux.
    maxSegments: 1024,
    maxMessage: 0x7fff_f000,
    sliceBytes,
    notes: [],
    close: async () => {
      await Promise.all(lanes.map((open) => open.lane.close()));
    },
  };
}

/** Mooncake peers in the Soft-RoCE machine. */
import { rdmaHeld, rdmaHeldBy } from '../rdma-resources.js';
import { address, GID_INDEX } from '../softroce.js';
import { filled, tensors } from './moves.js';
import { MooncakePeer, type Placed } from './peer.js';
import { withoutLeaks, type Held } from './usage.js';

/**
 * Mooncake pairs any device of a reader with any of a seed, by chance, and waits for ever for a read between two that do not reach each
 * other; the rails of this machine are separate networks, so it is told to pair devices of one name.
 */
export const environment = { MC_GID_INDEX: String(GID_INDEX), MC_ENABLE_DEST_DEVICE_AFFINITY: '1' };

export interface RunningPeer {
  readonly peer: MooncakePeer;
  readonly session: string;
  /** Filled, not registered. */
  readonly placed: Placed;
}

/** A TransferEngine on all rails of this host, with an own copy of all tensors. */
export async function startPeer(version: string, host: number): Promise<RunningPeer> {
  const peer = MooncakePeer.start(version, environment);
  const session = await peer.initialize(address(host));
  return { peer, session, placed: await peer.allocate(tensors, { filled }) };
}

/** What the kernel has for itself; nobody uses a device while this file is loaded. */
const ofTheKernel = rdmaHeld();

/** All that is held on this host by others than the kernel and the peer, which is this process. */
export function ownRdma(peer?: MooncakePeer): Held {
  const ofPeer = peer?.process.pid === undefined ? undefined : rdmaHeldBy(peer.process.pid);
  return Object.fromEntries(
    Object.entries(rdmaHeld()).map(([what, count]) => {
      const kind = what as keyof typeof ofTheKernel;
      return [what, count - ofTheKernel[kind] - (ofPeer?.[kind] ?? 0)];
    }),
  );
}

/** {@link withoutLeaks}, of queue pairs and memory regions as well. */
export function withoutRdmaLeaks(peer: MooncakePeer, rounds: number, round: () => Promise<void>, peerHolds = peerRdma): Promise<void> {
  return withoutLeaks(peer, rounds, round, { own: () => ownRdma(peer), peer: () => peerHolds(peer) });
}

/** All that a peer on this host holds. */
export function peerRdma(peer: MooncakePeer): Held {
  return { ...rdmaHeldBy(peer.process.pid ?? 0) };
}

/**
 * The same, of one that our targets connect with again and again. Mooncake 0.3.9 answers each Connection message with new queue pairs
 * and keeps the old ones for ever, also when the sender's name is the same; later releases do not.
 */
export function connectedPeerRdma(peer: MooncakePeer): Held {
  const { queuePairs, ...rest } = rdmaHeldBy(peer.process.pid ?? 0);
  return peer.version === '0.3.9' ? rest : { queuePairs, ...rest };
}

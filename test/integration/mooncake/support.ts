/** A real Mooncake peer over TCP. */
import { filled, tensors } from '../../support/mooncake/moves.js';
import { MooncakePeer, thoroughly, type Placed } from '../../support/mooncake/peer.js';

export const host = '127.0.0.1';

/** Beside one to warm up. */
export function roundsOf(version: string): number {
  return thoroughly.includes(version) ? 20 : 3;
}

/** A TransferEngine with an own, filled copy of all tensors, not registered. */
export async function startPeer(
  version: string,
): Promise<{ readonly peer: MooncakePeer; readonly session: string; readonly placed: Placed }> {
  const peer = MooncakePeer.start(version, { MC_FORCE_TCP: '1' });
  const session = await peer.initialize(host);
  return { peer, session, placed: await peer.allocate(tensors, { filled }) };
}

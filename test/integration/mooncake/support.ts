/** A real Mooncake peer over TCP, and what is moved between it and this process. */
import { versions, MooncakePeer, pattern, type Placed } from '../../support/mooncake/peer.js';
import { oddTensors, offsetsOf } from '../../support/mooncake/odd-tensors.js';

export const host = '127.0.0.1';

/** What the bytes of all tensors follow from. */
export const filled = 'odd tensors';

/** As peer.py's `allocate` places by default. */
const align = 64;

export const tensors = oddTensors();
export const offsets = offsetsOf(tensors, align);
export const bytesOf: Readonly<Record<string, number>> = Object.fromEntries(tensors);

const end = Math.max(...tensors.map(([name, bytes]) => (offsets[name] ?? 0) + bytes));

/** All tensors as they must arrive, at {@link offsets}. */
export const expected = pattern(filled, end);

/** The bytes of one tensor. */
export function expectedOf(name: string): Buffer {
  const offset = offsets[name] ?? 0;
  return expected.subarray(offset, offset + (bytesOf[name] ?? 0));
}

/** The newest and the oldest release, whose TCP transports differ most, move everything twenty times; the others only a few. */
export function roundsOf(version: string): number {
  return version === versions[0] || version === versions.at(-1) ? 20 : 3;
}

/** A TransferEngine with an own copy of all tensors, filled or not. */
export async function startPeer(
  version: string,
  options: { readonly filled?: string } = {},
): Promise<{ readonly peer: MooncakePeer; readonly session: string; readonly placed: Placed }> {
  const peer = MooncakePeer.start(version, { MC_FORCE_TCP: '1' });
  const session = await peer.initialize(host);
  return { peer, session, placed: await peer.allocate(tensors, { align, ...options }) };
}

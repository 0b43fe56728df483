/** Which wire a pull uses, and why not the other. That there is no need of one is found out before: {@link openLocal}. */
import { WeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import type { NativeLocalPeer } from '../native.js';
import type { Rails } from '../rails.js';
import type { PullSettings, Transport } from './options.js';
import { pairRails, type RailPair } from './pairing.js';

/** Transport and reason, before anything is registered. */
export type TransportDecision =
  | { readonly transport: 'local'; readonly peer: NativeLocalPeer }
  | { readonly transport: 'rdma'; readonly pairs: readonly RailPair[] }
  | { readonly transport: 'tcp'; readonly reason: string };

/** Whoever asks for a way on which NICs write into an accelerator asks for RDMA. */
export function transportAsked({ transport = 'auto', devicePath = 'auto' }: PullSettings): Transport {
  return transport === 'auto' && (devicePath === 'dma-buf' || devicePath === 'peer-memory') ? 'rdma' : transport;
}

/**
 * RDMA when both sides have it; TCP when it was asked for or is all there is, with the reason.
 * @throws ERR_TRANSPORT_UNAVAILABLE when what was asked for is not on offer.
 */
export function decideTransport(
  asked: 'auto' | 'rdma' | 'tcp',
  rails: Rails,
  descriptor: SegmentDescriptor,
  peer: string,
): TransportDecision {
  const { protocol } = descriptor;
  if (protocol === 'rdma' && rails.nics.length > 0) {
    const pairs = pairRails(rails.nics, descriptor);
    if (pairs.length > 0) return { transport: 'rdma', pairs };
    if (asked === 'rdma')
      throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} offers RDMA, but has no device in service`, { peer });
  }
  if (asked === 'rdma') {
    throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} offers ${protocol}, not RDMA; use transport "auto" or "tcp"`, { peer });
  }
  const reason = rails.reason === '' ? `${peer} offers ${protocol} with no device in service` : rails.reason;
  if (tcpPort(descriptor) === 0) {
    throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} offers ${protocol} only, and this side cannot use it: ${reason}`, {
      peer,
    });
  }
  return { transport: 'tcp', reason: rails.nics.length > 0 && protocol === 'tcp' ? `${peer} offers TCP only` : reason };
}

/** Where the seed serves TCP reads; 0 when it does not. */
export function tcpPort(descriptor: SegmentDescriptor): number {
  return descriptor.protocol === 'tcp' ? descriptor.tcpDataPort : (descriptor.weightcast?.tcpDataPort ?? 0);
}

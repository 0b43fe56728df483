/** Which transport a pull uses, and why not the other. */
import { WeightcastError } from '../errors.js';
import type { SegmentDescriptor } from '../handshake/index.js';
import type { Rails } from '../rails.js';
import { pairRails, type RailPair } from './pairing.js';

/** Transport and reason, before anything is registered. */
export type TransportDecision = { readonly transport: 'rdma'; readonly pairs: readonly RailPair[] } | { readonly transport: 'tcp'; readonly reason: string };

/**
 * RDMA when both sides have it; TCP when it was asked for or is all there is, with the reason.
 * @throws ERR_TRANSPORT_UNAVAILABLE when what was asked for is not on offer.
 */
export function decideTransport(asked: 'auto' | 'rdma' | 'tcp', rails: Rails, descriptor: SegmentDescriptor, peer: string): TransportDecision {
  const protocols = typeof descriptor.protocol === 'string' ? [descriptor.protocol] : descriptor.protocol;
  const offersTcp = tcpPort(descriptor) > 0;
  if (protocols.includes('rdma') && rails.nics.length > 0 && asked !== 'tcp') {
    const pairs = pairRails(rails.nics, descriptor);
    if (pairs.length > 0) return { transport: 'rdma', pairs };
    if (asked === 'rdma') throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} offers RDMA but no usable device`, { peer });
  }
  const offers = protocols.join(', ');
  if (asked === 'rdma') throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} does not offer RDMA, it offers ${offers}; use transport "auto" or "tcp"`, { peer });
  if (!offersTcp) {
    const why = rails.reason === '' ? '' : ` (${rails.reason})`;
    throw new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `${peer} offers ${offers} only, and this side cannot use it${why}`, { peer });
  }
  if (asked === 'tcp') return { transport: 'tcp', reason: 'TCP was asked for' };
  return { transport: 'tcp', reason: rails.nics.length === 0 ? rails.reason : `${peer} offers ${offers}, not RDMA` };
}

/** Where the seed serves TCP reads; 0 when it does not. */
export function tcpPort(descriptor: SegmentDescriptor): number {
  const isTcp = descriptor.protocol === 'tcp' || (typeof descriptor.protocol !== 'string' && descriptor.protocol.includes('tcp'));
  return isTcp ? descriptor.tcpDataPort : (descriptor.weightcast?.tcpDataPort ?? 0);
}

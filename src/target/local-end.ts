import { WeightcastError } from '../errors.js';
import { fetchDescriptor, formatAddress, rdmaDescriptor, tcpDescriptor, type SegmentDescriptor } from '../handshake/index.js';
import type { NativeNic } from '../native.js';
import { segmentDevices } from '../rails.js';
import { listenAgain, type LocalListener } from './local-port.js';

/** The local end of the handshake: old seeds call back for our descriptor while they answer ours. */
export class LocalEnd {
  private constructor(
    readonly name: string,
    private readonly listener: LocalListener,
    readonly descriptor: SegmentDescriptor,
  ) {}

  static async open(host: string, nics: readonly NativeNic[]): Promise<LocalEnd> {
    // Known once the port is.
    let descriptor: SegmentDescriptor | undefined = undefined;
    const identity = [host, ...nics.map((nic) => `${nic.device} ${nic.gid}`)].join();
    const listener = await listenAgain(identity, {
      metadata: () => descriptor,
      connection: () => Promise.reject(new WeightcastError('ERR_HANDSHAKE', 'this process only pulls: it has nothing to read')),
    });
    const name = formatAddress(host, listener.port);
    descriptor =
      nics.length > 0 ? rdmaDescriptor({ name, devices: segmentDevices(nics), weightcast: { version: 1 } }) : tcpDescriptor({ name });
    return new LocalEnd(name, listener, descriptor);
  }

  /** What the seed offers. `prefer` picks one of several transports that a descriptor may list. */
  fetchPeer(sessionId: string, prefer: 'rdma' | 'tcp', signal: AbortSignal | undefined): Promise<SegmentDescriptor> {
    return fetchDescriptor(sessionId, this.descriptor, { prefer, signal });
  }

  close(): Promise<void> {
    return this.listener.close();
  }
}

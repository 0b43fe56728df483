import { HandshakeListener, fetchDescriptor, formatAddress, type SegmentDescriptor } from '../handshake/index.js';
import type { NativeNic } from '../native.js';

/** The local end of the handshake: old seeds call back for our descriptor while they answer ours. */
export class LocalEnd {
  private constructor(
    readonly name: string,
    private readonly listener: HandshakeListener,
    readonly descriptor: SegmentDescriptor,
  ) {}

  static async open(host: string, nics: readonly NativeNic[]): Promise<LocalEnd> {
    let end: LocalEnd | undefined;
    const listener = await HandshakeListener.listen({
      host: '',
      handlers: {
        metadata: () => end?.descriptor,
        connection: (message) =>
          Promise.resolve({ ...message, localNicPath: message.peerNicPath, peerNicPath: message.localNicPath, qpNum: [], replyMsg: 'this is a target: it serves nothing' }),
      },
    });
    const name = formatAddress(host, listener.port);
    end = new LocalEnd(name, listener, {
      name,
      protocol: nics.length > 0 ? 'rdma' : 'tcp',
      tcpDataPort: 0,
      tcpProtoVersion: 1,
      devices: nics.map((nic) => ({ name: nic.device, lid: nic.lid, gid: nic.gid })),
      buffers: [],
      priorityMatrix: nics.length > 0 ? { 'cpu:0': [nics.map((nic) => nic.device), []] } : {},
      weightcast: { version: 1 },
    });
    return end;
  }

  fetchPeer(sessionId: string, signal: AbortSignal | undefined): Promise<SegmentDescriptor> {
    return fetchDescriptor(sessionId, this.descriptor, signal === undefined ? {} : { signal });
  }

  close(): Promise<void> {
    return this.listener.close();
  }
}

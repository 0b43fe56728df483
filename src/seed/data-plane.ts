/** The seed's side of the data plane: what listens for peers, and the descriptor that they read. */
import { toWeightcastError } from '../errors.js';
import { HandshakeListener, Responder, formatAddress, type SegmentDescriptor } from '../handshake/index.js';
import { native, type NativeNic, type NativeTcpServer } from '../native.js';
import type { Logger } from '../observe/logger.js';
import type { ContentRange, SeedContent } from './content.js';
import type { Registered } from './register.js';

export interface DataPlaneOptions {
  readonly host: string;
  readonly nics: readonly NativeNic[];
  readonly content: SeedContent;
  readonly ranges: readonly ContentRange[];
  /** Keys of `ranges`, when there are NICs. */
  readonly registered: Registered | undefined;
  /** Also (or only) serve over TCP. */
  readonly tcp: boolean;
  readonly logger: Logger;
}

/** Threads of the TCP server: sending is a copy in the kernel, two keep a 100 Gb/s link's worth of copies going. */
const TCP_THREADS = 2;

/**
 * Opens the handshake listener (Metadata, Connection), the queue pair responder and the TCP server. The session id that
 * peers open is `host:port` of the listener; a fresh random port a process keeps cached descriptors of a dead one harmless.
 */
export class SeedDataPlane {
  readonly sessionId: string;
  readonly descriptor: SegmentDescriptor;
  private constructor(
    private readonly listener: HandshakeListener,
    private readonly responder: Responder,
    private readonly tcpServer: NativeTcpServer | undefined,
    describe: (sessionId: string) => SegmentDescriptor,
    host: string,
  ) {
    this.sessionId = formatAddress(host, listener.port);
    this.descriptor = describe(this.sessionId);
  }

  static async open(options: DataPlaneOptions): Promise<SeedDataPlane> {
    const { host, nics, logger } = options;
    let plane: SeedDataPlane | undefined;
    const tcpServer = options.tcp ? await serveTcp(options) : undefined;
    const responder = new Responder({ serverName: () => plane?.sessionId ?? '', nics, logger });
    try {
      const listener = await HandshakeListener.listen({
        host: bindAddress(host),
        handlers: {
          metadata: () => plane?.descriptor,
          connection: (message) => responder.handle(message),
          peerDescriptor: (descriptor) => {
            responder.remember(descriptor);
          },
        },
        logger,
      });
      plane = new SeedDataPlane(listener, responder, tcpServer, (sessionId) => describe(sessionId, options, tcpServer?.port ?? 0), host);
      return plane;
    } catch (error) {
      await responder.close();
      await tcpServer?.close();
      throw toWeightcastError(error, { doing: 'cannot open the handshake listener' });
    }
  }

  /** Stops answering, then ends connections and queue pairs. Peers that read meanwhile see their reads fail. */
  async close(): Promise<void> {
    await this.listener.close();
    await this.responder.close();
    await this.tcpServer?.close();
  }
}

/** A loopback address stays private; any other is reachable on every interface, as Mooncake peers expect. */
function bindAddress(host: string): string {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') ? host : '';
}

async function serveTcp(options: DataPlaneOptions): Promise<NativeTcpServer> {
  const server = await native()
    .listenTcp(bindAddress(options.host), 0, TCP_THREADS)
    .catch((error: unknown) => {
      throw toWeightcastError(error, { doing: 'cannot listen for TCP reads' });
    });
  const regions = options.ranges.flatMap((range) => options.content.regions[range.region] ?? []);
  const addresses = options.ranges.map((range, index) => (regions[index]?.address ?? 0n) + range.offset);
  server.serve(
    regions.map((region) => region.handle),
    BigUint64Array.from(addresses),
    BigUint64Array.from(options.ranges, (range) => range.length),
  );
  return server;
}

function describe(sessionId: string, options: DataPlaneOptions, tcpDataPort: number): SegmentDescriptor {
  const { nics, registered } = options;
  const common = { name: sessionId, timestamp: timestamp() };
  if (nics.length > 0 && registered !== undefined) {
    return {
      ...common,
      protocol: 'rdma',
      tcpDataPort: 0,
      tcpProtoVersion: 1,
      devices: nics.map((nic) => ({ name: nic.device, lid: nic.lid, gid: nic.gid })),
      buffers: registered.ranges.map((range) => ({
        name: 'cpu:0',
        addr: range.address,
        length: range.length,
        rkey: range.registrations.map((registration) => registration.remoteKey),
        lkey: range.registrations.map(() => 0),
      })),
      // One key that lists all devices in their own order: the only form in which a reader's index is always ours.
      priorityMatrix: { 'cpu:0': [nics.map((nic) => nic.device), []] },
      ...(tcpDataPort > 0 ? { weightcast: { version: 1, tcpDataPort, tcpProtoVersion: 2 } } : { weightcast: { version: 1 } }),
    };
  }
  return {
    ...common,
    protocol: 'tcp',
    tcpDataPort,
    tcpProtoVersion: 2,
    devices: [],
    buffers: options.ranges.map((range) => ({
      name: sessionId,
      addr: (options.content.regions[range.region]?.address ?? 0n) + range.offset,
      length: range.length,
      rkey: [],
      lkey: [],
    })),
    priorityMatrix: {},
    weightcast: { version: 1 },
  };
}

function timestamp(): string {
  return new Date().toISOString().replace('T', ' ').replace('Z', '000');
}

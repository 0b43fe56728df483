/** The seed's side of the data plane: what listens for peers, and the descriptor that they read. */
import { toWeightcastError } from '../errors.js';
import {
  HandshakeListener,
  Responder,
  encodeDescriptor,
  formatAddress,
  rdmaDescriptor,
  tcpDescriptor,
  type SegmentDescriptor,
} from '../handshake/index.js';
import { native, type NativeNic, type NativeTcpServer } from '../native.js';
import type { Logger } from '../observe/logger.js';
import { segmentDevices } from '../rails.js';
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
  /** What accepts connections of peers, at an address that this process itself can use. */
  readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[];

  private constructor(
    private readonly listener: HandshakeListener,
    private readonly responder: Responder,
    private readonly tcpServer: NativeTcpServer | undefined,
    describe: (sessionId: string) => SegmentDescriptor,
    host: string,
  ) {
    this.sessionId = formatAddress(host, listener.port);
    this.descriptor = describe(this.sessionId);
    const own = bindAddress(host) || '127.0.0.1';
    this.listeners = [
      { name: 'the handshake listener', host: own, port: listener.port },
      ...(tcpServer === undefined ? [] : [{ name: 'the TCP server', host: own, port: tcpServer.port }]),
    ];
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
          metadata: (request) => {
            responder.remember(request);
            return plane?.descriptor;
          },
          connection: (message) => responder.handle(message),
        },
        logger,
      });
      plane = new SeedDataPlane(listener, responder, tcpServer, (sessionId) => describe(sessionId, options, tcpServer?.port ?? 0), host);
      const { frameBytes, exceedsPeerLimit } = encodeDescriptor(plane.descriptor);
      if (exceedsPeerLimit) {
        logger.warn('the segment descriptor is larger than the 1 MiB that Mooncake peers read by default; register fewer, larger buffers', {
          bytes: frameBytes,
          buffers: plane.descriptor.buffers.length,
        });
      }
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

function describe(name: string, options: DataPlaneOptions, tcpDataPort: number): SegmentDescriptor {
  const { nics, registered, content, ranges } = options;
  if (nics.length === 0 || registered === undefined) {
    const buffers = ranges.map((range) => ({
      address: (content.regions[range.region]?.address ?? 0n) + range.offset,
      length: range.length,
    }));
    return { ...tcpDescriptor({ name, tcpDataPort, buffers }), timestamp: timestamp(), weightcast: { version: 1 } };
  }
  const buffers = registered.ranges.map(({ address, length, registrations }) => ({
    location: 'cpu:0',
    address,
    length,
    remoteKeys: registrations.map((registration) => registration.remoteKey),
    readable: true,
  }));
  const weightcast = tcpDataPort > 0 ? { version: 1, tcpDataPort, tcpProtoVersion: 2 } : { version: 1 };
  return { ...rdmaDescriptor({ name, devices: segmentDevices(nics), buffers, weightcast }), timestamp: timestamp() };
}

/** Mooncake writes its own with microseconds. */
function timestamp(): string {
  return new Date().toISOString().replace('T', ' ').replace('Z', '000');
}

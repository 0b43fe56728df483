/** The seed's side of the data plane: what listens for peers, and the descriptor that they read. */
import { randomBytes } from 'node:crypto';
import { toWeightcastError } from '../errors.js';
import {
  HandshakeListener,
  Responder,
  descriptorLimit,
  encodeDescriptor,
  formatAddress,
  peerReadLimit,
  type LocalSocket,
  type SegmentDescriptor,
} from '../handshake/index.js';
import { native, type NativeLocalServer, type NativeNic, type NativeTcpServer } from '../native.js';
import type { Logger } from '../observe/logger.js';
import type { SeedContent } from './content.js';
import type { ContentRange } from './ranges.js';
import type { Registered } from './register.js';
import { describeSegment, locationOf } from './segment.js';
import { tcpServed, type TcpServed, type ZeroCopyChoice } from './tcp-served.js';

export interface DataPlaneOptions {
  readonly host: string;
  readonly nics: readonly NativeNic[];
  /** Which of them are nearest to a location of buffers, by their names; default all. */
  readonly preferred?: ReadonlyMap<string, readonly string[]>;
  readonly content: SeedContent;
  readonly ranges: readonly ContentRange[];
  /** Keys of `ranges`, when there are NICs. */
  readonly registered: Registered | undefined;
  /** Also (or only) serve over TCP. */
  readonly tcp: boolean;
  /** Default `auto`. */
  readonly zeroCopy?: ZeroCopyChoice;
  /** Also serve processes of this host without a wire. */
  readonly local: boolean;
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
  /** What Mooncake's peers may stumble over, in sentences. */
  readonly notes: readonly string[];
  /** What accepts connections of peers, at an address that this process itself can use. */
  readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[];

  private constructor(
    private readonly listener: HandshakeListener,
    private readonly responder: Responder,
    private readonly tcpServer: NativeTcpServer | undefined,
    private readonly localServer: LocalServer | undefined,
    { host, nics, preferred, ...options }: DataPlaneOptions,
  ) {
    const tcpDataPort = tcpServer?.port ?? 0;
    this.sessionId = formatAddress(host, listener.port);
    const local = localServer?.socket;
    this.descriptor = describeSegment({ name: this.sessionId, nics, buffers: buffersOf(options), tcpDataPort, preferred, local });
    this.notes = tooLarge(this.descriptor);
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
    const localServer = options.local ? await serveLocal(options) : undefined;
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
      plane = new SeedDataPlane(listener, responder, tcpServer, localServer, options);
      for (const note of plane.notes) logger.warn(note);
      return plane;
    } catch (error) {
      await responder.close();
      await tcpServer?.close();
      await localServer?.server.close();
      throw toWeightcastError(error, { doing: 'cannot open the handshake listener' });
    }
  }

  /** Stops answering, then ends connections and queue pairs. Peers that read meanwhile see their reads fail. */
  async close(): Promise<void> {
    await this.listener.close();
    await this.responder.close();
    await this.tcpServer?.close();
    await this.localServer?.server.close();
  }

  /** Whether processes of this host can read without a wire. */
  get local(): boolean {
    return this.localServer !== undefined;
  }

  /** `undefined` where TCP is not offered. */
  get tcpServed(): TcpServed | undefined {
    return this.tcpServer && tcpServed(this.tcpServer.counters());
  }
}

/** A loopback address stays private; any other is reachable on every interface, as Mooncake peers expect. */
function bindAddress(host: string): string {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') ? host : '';
}

type Offer = Pick<DataPlaneOptions, 'content' | 'ranges' | 'registered'>;

/** What is listed is what is served, over every transport. */
function buffersOf({ content, ranges, registered }: Offer): { location: string; address: bigint; length: bigint; remoteKeys: number[] }[] {
  return ranges.map(({ region, offset, length }, index) => ({
    location: locationOf(content.regions[region]),
    address: (content.regions[region]?.address ?? 0n) + offset,
    length,
    remoteKeys: (registered?.remoteKeys ?? []).map((keys) => keys[index] ?? 0),
  }));
}

function tooLarge(descriptor: SegmentDescriptor): string[] {
  const { frameBytes, exceedsPeerLimit } = encodeDescriptor(descriptor);
  if (!exceedsPeerLimit) return [];
  const limit = Math.ceil(frameBytes / peerReadLimit) * peerReadLimit;
  const remedy =
    limit > descriptorLimit
      ? `they can be set to ${String(descriptorLimit)} at most, so place the tensors into one Region`
      : `set MC_HANDSHAKE_MAX_LENGTH=${String(limit)} for them (Mooncake 0.3.9 and later), or place the tensors into one Region`;
  return [
    `the segment descriptor has ${String(frameBytes)} bytes for ${String(descriptor.buffers.length)} buffers, and Mooncake peers fail ` +
      `to read more than ${String(peerReadLimit)} by default: ${remedy}`,
  ];
}

async function serveTcp(options: DataPlaneOptions): Promise<NativeTcpServer> {
  const server = await native()
    .listenTcp(bindAddress(options.host), 0, TCP_THREADS, options.zeroCopy)
    .catch((error: unknown) => {
      throw toWeightcastError(error, { doing: 'cannot listen for TCP reads' });
    });
  offer(server, options);
  return server;
}

interface LocalServer {
  readonly server: NativeLocalServer;
  readonly socket: LocalSocket;
}

/** `undefined` where the kernel does not let it, which is logged: it is one way more, and no reason to fail. */
async function serveLocal(options: DataPlaneOptions): Promise<LocalServer | undefined> {
  const socket = { name: `weightcast-${randomBytes(8).toString('hex')}`, token: randomBytes(32).toString('hex') };
  let server: NativeLocalServer | undefined;
  try {
    server = await native().listenLocal(socket.name, socket.token);
    offer(server, options);
    return { server, socket };
  } catch (error) {
    await server?.close();
    options.logger.warn('the local transport is not offered', { reason: toWeightcastError(error).message });
    return undefined;
  }
}

function offer(server: Pick<NativeTcpServer, 'serve'>, options: DataPlaneOptions): void {
  const buffers = buffersOf(options);
  server.serve(
    options.ranges.flatMap((range) => options.content.regions[range.region]?.handle ?? []),
    BigUint64Array.from(buffers, (buffer) => buffer.address),
    BigUint64Array.from(buffers, (buffer) => buffer.length),
  );
}

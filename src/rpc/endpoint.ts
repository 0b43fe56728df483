/** A listening gRPC server: the metadata server's and every seed's. */
import {
  type ConnectionInjector,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Logger } from '../observe/logger.js';
import { ServerTls } from '../security/server-tls.js';
import type { ServerTlsFiles } from '../security/tls-files.js';
import { Acceptor } from './acceptor/acceptor.js';
import { connectionsThatFit } from './acceptor/open-files.js';
import { Reading } from './acceptor/reading.js';
import { Traffic } from './acceptor/traffic.js';
import type { Address } from './address.js';
import { completeLimits, type EndpointLimits } from './endpoint-limits.js';
import { type EndpointObserver, silentObserver } from './endpoint-observer.js';
import { CallLimits } from './interceptors/call-limits.js';
import { measurable } from './interceptors/outgoing.js';
import { Turns } from './interceptors/turns.js';
import { writeThrough } from './interceptors/write-through.js';

/** Anything that can be added to a gRPC server. */
export type AddService = (server: Server) => void;

export interface EndpointOptions {
  /** Port 0 takes a free one. */
  readonly address: Address;
  readonly services: readonly AddService[];
  /** Absent: clear text. */
  readonly tls?: ServerTlsFiles | undefined;
  /** What is absent has the default that {@link EndpointLimits} tells. */
  readonly limits?: Partial<EndpointLimits> | undefined;
  /** The first one sees a call first, after the rate limit of its address and before all other limits of calls. */
  readonly interceptors?: readonly ServerInterceptor[];
  readonly observer?: EndpointObserver | undefined;
  readonly logger: Logger;
}

/** How long connections have to take in that they are over, when the grace is. Milliseconds. */
const farewellMs = 250;
const never = 0x7fffffff;

export class GrpcEndpoint {
  readonly port: number;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #acceptor: Acceptor;
  readonly #calls: CallLimits;
  readonly #tls: ServerTls | undefined;
  #drained: Promise<void> | undefined;

  private constructor(server: Server, injector: ConnectionInjector, acceptor: Acceptor, calls: CallLimits, tls: ServerTls | undefined) {
    this.#server = server;
    this.#injector = injector;
    this.#acceptor = acceptor;
    this.#calls = calls;
    this.#tls = tls;
    this.port = acceptor.port;
  }

  /**
   * Resolves when the endpoint answers calls.
   *
   * @throws ERR_INVALID_ARGUMENT for a host that is not known or a limit that is none, ERR_IO when the system refuses the
   * address, ERR_TLS for certificates that cannot be used; all name what they are about.
   */
  static async open(options: EndpointOptions): Promise<GrpcEndpoint> {
    const { address, services, logger, observer = silentObserver } = options;
    const limits = await withinReach(completeLimits(options.limits), options);
    const tls = options.tls === undefined ? undefined : ServerTls.open(options.tls, { logger });
    const traffic = new Traffic();
    const turns = new Turns();
    const reading = new Reading({ busy: (client) => turns.waits(client) });
    let acceptor: Acceptor | undefined;
    const shutOut = (client: string): void => acceptor?.shutOut(client);
    const calls = new CallLimits({ limits, observer, logger, traffic, turns, reading, shutOut });
    const interceptors = [writeThrough(limits.messageBytes), calls.byAddress, ...(options.interceptors ?? []), calls.byClient];
    const server = new Server({ ...serverOptions(limits), interceptors });
    for (const add of services) add(server);
    // TLS is ours, so HTTP/2 takes every socket as it is.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    calls.guard(server);
    try {
      const serve = injector.injectConnection.bind(injector);
      acceptor = await Acceptor.open({ address, tls, limits, traffic, reading, turns, observer, logger, serve });
      return new GrpcEndpoint(server, injector, acceptor, calls, tls);
    } catch (error) {
      injector.destroy();
      server.forceShutdown();
      calls.close();
      traffic.close();
      tls?.close();
      throw error;
    }
  }

  /** Open connections. */
  get connections(): number {
    return this.#acceptor.open;
  }

  /**
   * Accepts no more connections and tells those that are open that no further call is taken (GOAWAY); running calls go on.
   * Resolves when the last connection is closed, which is as late as the last call ends. Idempotent; never rejects.
   */
  drain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#drained = this.#acceptor.stop();
      this.#injector.drain(never);
    }
    return this.#drained;
  }

  /** Drains, lets running calls finish for up to `graceMs` milliseconds, then ends them. Idempotent; never rejects. */
  async close(graceMs: number): Promise<void> {
    const drained = this.drain();
    if (!(await within(drained, graceMs))) {
      this.#injector.drain(0);
      await within(drained, farewellMs);
      this.#acceptor.destroy();
      await drained;
    }
    this.#injector.destroy();
    this.#server.forceShutdown();
    this.#calls.close();
    this.#tls?.close();
  }
}

/** A service by its (generated) definition. */
export function service(definition: ServiceDefinition, implementation: UntypedServiceImplementation): AddService {
  return (server) => {
    server.addService(measurable(definition), implementation);
  };
}

function serverOptions(limits: EndpointLimits): ServerOptions {
  const { messageBytes, streamsPerConnection, idleTimeoutMs, keepaliveMs } = limits;
  return {
    'grpc.max_receive_message_length': messageBytes,
    'grpc.max_send_message_length': messageBytes,
    'grpc.max_concurrent_streams': streamsPerConnection,
    ...(idleTimeoutMs > 0 ? { 'grpc.max_connection_idle_ms': idleTimeoutMs } : {}),
    ...(keepaliveMs > 0 ? { 'grpc.keepalive_time_ms': keepaliveMs, 'grpc.keepalive_timeout_ms': 20_000 } : {}),
    // Nobody asks for its figures, and they are kept for every connection and call.
    'grpc.enable_channelz': 0,
  };
}

async function withinReach(limits: EndpointLimits, { logger }: EndpointOptions): Promise<EndpointLimits> {
  const fit = await connectionsThatFit();
  if (limits.connections <= fit) return limits;
  logger.warn('fewer connections are let in than configured: the process may not open so many files', {
    configured: limits.connections,
    connections: fit,
  });
  return { ...limits, connections: fit };
}

/** Whether `promise` is settled after `ms` milliseconds. */
async function within(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(() => done(false), ms);
  });
  const settled = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return settled;
}

/** The metadata server: who serves which weights. */
import type { ServerInterceptor } from '@grpc/grpc-js';
import { WeightcastError } from '../../errors.js';
import { type Logger, silentLogger } from '../../observe/logger.js';
import { formatAddress, parseAddress } from '../../rpc/address.js';
import type { EndpointLimits } from '../../rpc/endpoint-limits.js';
import type { EndpointObserver } from '../../rpc/endpoint-observer.js';
import { GrpcEndpoint, service } from '../../rpc/endpoint.js';
import type { ServerTlsFiles } from '../../security/tls-files.js';
import { packageVersion } from '../../version.js';
import { defaultServerPort } from '../client.js';
import { MemoryStore } from '../stores/memory.js';
import type { MetadataStore } from '../stores/store.js';
import { transferService } from '../transfers/service.js';
import { TransferLog } from '../transfers/transfer-log.js';
import { apiService } from './api-service.js';
import { healthService } from './health-service.js';
import { Introspection } from './introspection.js';
import { ObservedStore, ReaperStore } from './observed-store.js';
import { type ServerObserver, silentObserver } from './observer.js';
import { createP2pService, p2pServiceDefinition } from './p2p-service.js';
import { Reaper } from './reaper.js';

export interface MetadataServerOptions {
  /** `host:port`; port 0 takes a free one. Default `127.0.0.1:8001`. */
  readonly listen?: string;
  /** Absent: clear text. */
  readonly tls?: ServerTlsFiles | undefined;
  /** What one client, and all of them, may take; absent ones have the defaults of {@link EndpointLimits}. */
  readonly limits?: Partial<EndpointLimits> | undefined;
  /** See every call before the server does, the first one first: authentication. Absent: everybody may call. */
  readonly interceptors?: readonly ServerInterceptor[];
  /** Default: a new {@link MemoryStore}. A store that is given is not closed by the server. */
  readonly store?: MetadataStore;
  /** Takes what targets tell of their transfers; default: a new one, which nobody reads. */
  readonly transfers?: TransferLog;
  /** Hears of calls, store operations and the reaper. */
  readonly observer?: ServerObserver;
  /** Hears of connections, and of calls that limits refuse. */
  readonly endpointObserver?: EndpointObserver;
  /** Unix milliseconds; default `Date.now`. */
  readonly clock?: () => number;
  /** A READY worker silent for longer is not listed and is marked STALE; default 90 000. */
  readonly heartbeatTimeoutMs?: number;
  /** A worker STALE for longer is removed; default 3 600 000. */
  readonly gcTimeoutMs?: number;
  /** Pause between two looks for silent workers; default 30 000, at least 1. */
  readonly reaperIntervalMs?: number;
  readonly logger?: Logger;
}

/** How long `close` lets running calls finish, unless told otherwise. Milliseconds. */
const defaultGraceMs = 2000;

/** What a store may take over its last call once the grace is over. Milliseconds. */
const lastWordMs = 100;

/** What health checks and reflection tell of. */
const serviceNames = [
  'model_express.p2p.P2pService',
  'model_express.health.HealthService',
  'model_express.api.ApiService',
  'weightcast.v1.TransferService',
];

/**
 * Serves `model_express.p2p.P2pService` (messages may be 100 MiB, both ways), ModelExpress' own health call and ping,
 * `weightcast.v1.TransferService`, `grpc.health.v1.Health` and server reflection.
 */
export class MetadataServer implements AsyncDisposable {
  /** `host:port` with the real port; the host as it was given. */
  readonly address: string;
  readonly port: number;
  readonly #parts: Parts;
  #closing: Promise<void> | undefined;

  private constructor(parts: Parts, address: string) {
    this.#parts = parts;
    this.address = address;
    this.port = parts.endpoint.port;
  }

  /**
   * Resolves when the server answers calls.
   *
   * @throws ERR_INVALID_ARGUMENT for an address that is none, a host that is not known, or a time that is no positive number; ERR_IO when
   * the system refuses the address, for example because the port is in use; ERR_TLS for certificates that cannot be used.
   */
  static async listen(options: MetadataServerOptions = {}): Promise<MetadataServer> {
    const { listen = `127.0.0.1:${String(defaultServerPort)}`, clock = Date.now, logger = silentLogger } = options;
    const heartbeatTimeoutMs = positive('heartbeatTimeoutMs', options.heartbeatTimeoutMs ?? 90_000);
    const gcTimeoutMs = positive('gcTimeoutMs', options.gcTimeoutMs ?? 3_600_000);
    const intervalMs = positive('reaperIntervalMs', options.reaperIntervalMs ?? 30_000);
    const { tls, limits, interceptors = [], observer = silentObserver, endpointObserver, transfers = new TransferLog() } = options;
    const store = options.store ?? new MemoryStore();

    const address = parseAddress(listen, defaultServerPort);
    const introspection = await Introspection.create(serviceNames);
    const p2p = createP2pService({ store: new ObservedStore(store, observer), clock, heartbeatTimeoutMs, logger, observer });
    const services = [
      service(p2pServiceDefinition, p2p),
      healthService(packageVersion()),
      apiService(),
      transferService(transfers),
      introspection.add,
    ];
    const endpoint = await GrpcEndpoint.open({ address, services, tls, limits, interceptors, observer: endpointObserver, logger });
    const watched = new ReaperStore(store, observer);
    const reaper = new Reaper({ store: watched, clock, heartbeatTimeoutMs, gcTimeoutMs, intervalMs, logger });
    reaper.start();
    const name = formatAddress({ host: address.host, port: endpoint.port });
    logger.info('metadata server listens', { address: name, tls: tls !== undefined });
    return new MetadataServer({ endpoint, reaper, introspection, ownStore: options.store === undefined ? store : undefined }, name);
  }

  /** Health checks are answered NOT_SERVING from now on. Everything else goes on until `close`. */
  drain(): void {
    this.#parts.introspection.stopServing();
  }

  /**
   * Stops accepting, lets running calls finish for `graceMs` milliseconds (default 2000), ends what is left. A store
   * that does not answer is not waited for longer. Idempotent; never rejects.
   */
  close(graceMs = defaultGraceMs): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const { endpoint, reaper, introspection, ownStore } = this.#parts;
    this.drain();
    introspection.endStreams();
    const reaped = reaper.stop();
    await endpoint.close(graceMs);
    await atMost(reaped, lastWordMs);
    await ownStore?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface Parts {
  readonly endpoint: GrpcEndpoint;
  readonly reaper: Reaper;
  readonly introspection: Introspection;
  readonly ownStore: MetadataStore | undefined;
}

async function atMost(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return Math.ceil(value);
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a positive number for ${name} but received ${String(value)}`);
}

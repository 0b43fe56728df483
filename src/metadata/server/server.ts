/** The metadata server: who serves which weights. */
import { WeightcastError } from '../../errors.js';
import { type Logger, silentLogger } from '../../observe/logger.js';
import { defaultServerPort } from '../client.js';
import { MemoryStore } from '../stores/memory.js';
import { createP2pService, p2pServiceDefinition } from './p2p-service.js';
import { Reaper } from './reaper.js';
import { formatAddress, parseAddress } from '../../rpc/address.js';
import { GrpcEndpoint, service } from '../../rpc/endpoint.js';
import type { MetadataStore } from '../stores/store.js';

export interface MetadataServerOptions {
  /** `host:port`; port 0 takes a free one. Default `127.0.0.1:8001`. There is no authentication: mind who can reach it. */
  readonly listen?: string;
  /** Default: a new {@link MemoryStore}. A store that is given is not closed by the server. */
  readonly store?: MetadataStore;
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

/** Serves `model_express.p2p.P2pService`. Messages may be 100 MiB, both ways. */
export class MetadataServer implements AsyncDisposable {
  /** `host:port` with the real port; the host as it was given. */
  readonly address: string;
  readonly port: number;
  readonly #endpoint: GrpcEndpoint;
  readonly #reaper: Reaper;
  readonly #ownStore: MetadataStore | undefined;
  #closing: Promise<void> | undefined;

  private constructor(endpoint: GrpcEndpoint, reaper: Reaper, ownStore: MetadataStore | undefined, address: string) {
    this.#endpoint = endpoint;
    this.#reaper = reaper;
    this.#ownStore = ownStore;
    this.address = address;
    this.port = endpoint.port;
  }

  /**
   * Resolves when the server answers calls.
   *
   * @throws ERR_INVALID_ARGUMENT for an address that is none, a host that is not known, or a time that is no positive number; ERR_IO when
   * the system refuses the address, for example because the port is in use.
   */
  static async listen(options: MetadataServerOptions = {}): Promise<MetadataServer> {
    const { listen = `127.0.0.1:${String(defaultServerPort)}`, clock = Date.now, logger = silentLogger } = options;
    const heartbeatTimeoutMs = positive('heartbeatTimeoutMs', options.heartbeatTimeoutMs ?? 90_000);
    const gcTimeoutMs = positive('gcTimeoutMs', options.gcTimeoutMs ?? 3_600_000);
    const intervalMs = positive('reaperIntervalMs', options.reaperIntervalMs ?? 30_000);
    const ownStore = options.store === undefined ? new MemoryStore() : undefined;
    const store = options.store ?? ownStore ?? new MemoryStore();

    const address = parseAddress(listen, defaultServerPort);
    const p2p = service(p2pServiceDefinition, createP2pService({ store, clock, heartbeatTimeoutMs, logger }));
    const endpoint = await GrpcEndpoint.open({ address, services: [p2p], logger });
    const reaper = new Reaper({ store, clock, heartbeatTimeoutMs, gcTimeoutMs, intervalMs, logger });
    reaper.start();
    const name = formatAddress({ host: address.host, port: endpoint.port });
    logger.info('metadata server listens', { address: name });
    return new MetadataServer(endpoint, reaper, ownStore, name);
  }

  /**
   * Stops accepting, lets running calls finish for `graceMs` milliseconds (default 2000), ends what is left.
   * Idempotent; never rejects.
   */
  close(graceMs = defaultGraceMs): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    await this.#endpoint.close(graceMs);
    await this.#reaper.stop();
    await this.#ownStore?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return Math.ceil(value);
  throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected a positive number for ${name} but received ${String(value)}`);
}

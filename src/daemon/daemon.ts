/** The server as a process: what starts in which order, and how it ends. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerInterceptor } from '@grpc/grpc-js';
import { toWeightcastError } from '../errors.js';
import { HttpListener } from '../http/listener.js';
import type { Routes } from '../http/routes.js';
import { MetadataServer } from '../metadata/server/server.js';
import type { MetadataStore } from '../metadata/stores/store.js';
import { TransferLog } from '../metadata/transfers/transfer-log.js';
import type { Logger } from '../observe/logger.js';
import { type Address, formatAddress } from '../rpc/address.js';
import { type AuthenticationRefusal, authenticating } from '../rpc/interceptors/authenticate.js';
import { openAuthenticator } from '../security/authenticate.js';
import type { Authenticator } from '../security/authenticator.js';
import { packageVersion } from '../version.js';
import type { DaemonConfig } from './config/daemon-config.js';
import { methodOf, ServerMetrics } from './metrics/server-metrics.js';
import { surveyor } from './metrics/survey.js';
import { createPage, type Page } from './page/page.js';
import { probeRoutes } from './probes.js';
import { Readiness } from './readiness.js';
import { openStore } from './store.js';

/** For answers of the HTTP ports that are under way at the end. Milliseconds. */
const httpGraceMs = 500;
/** For what the store has not written yet. Milliseconds. */
const storeGraceMs = 5000;

export class Daemon {
  readonly #config: DaemonConfig;
  readonly #logger: Logger;
  readonly #readiness = new Readiness();
  readonly #transfers = new TransferLog();
  #authenticator: Authenticator | undefined;
  #metrics: HttpListener | undefined;
  #store: MetadataStore | undefined;
  #server: MetadataServer | undefined;
  #page: Page | undefined;
  #http: HttpListener | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(config: DaemonConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
  }

  /**
   * Metrics first, so that a start that hangs can be seen; then store, gRPC and HTTP. Resolves when the server is ready.
   *
   * @throws what the store, the listeners or the certificates fail with; nothing is left open then.
   */
  static async start(config: DaemonConfig, logger: Logger): Promise<Daemon> {
    const daemon = new Daemon(config, logger);
    try {
      await daemon.#start();
      return daemon;
    } catch (error) {
      await daemon.stop({ atOnce: true });
      throw error;
    }
  }

  async #start(): Promise<void> {
    const config = this.#config;
    const metrics = await ServerMetrics.create({ version: packageVersion(), backend: config.store.kind, scheme: config.metricsScheme });
    if (config.metrics !== undefined) this.#metrics = await this.#listen('metrics', config.metrics, metrics.routes);
    const store = await openStore(config.store, this.#logger);
    this.#store = store;
    metrics.onScrape(surveyor(store, this.#transfers, this.#readiness));
    this.#authenticator = await openAuthenticator(config.auth, this.#logger);
    this.#server = await MetadataServer.listen({
      listen: formatAddress(config.listen),
      tls: config.tls,
      limits: config.limits,
      interceptors: this.#interceptors(metrics),
      store,
      transfers: this.#transfers,
      heartbeatTimeoutMs: config.heartbeatTimeoutMs,
      gcTimeoutMs: config.gcTimeoutMs,
      reaperIntervalMs: config.reaperIntervalMs,
      observer: metrics,
      endpointObserver: metrics,
      logger: this.#logger,
    });
    if (config.http !== undefined) {
      const probes = probeRoutes(this.#readiness);
      if (config.http.page) this.#page = this.#openPage(store);
      const routes = new Map([...probes, ...(this.#page?.routes ?? [])]);
      this.#http = await this.#listen('HTTP', config.http, routes, config.http.required);
    }
    this.#readiness.serve(store);
  }

  #openPage(store: MetadataStore): Page {
    return createPage({
      store,
      clock: Date.now,
      heartbeatTimeoutMs: this.#config.heartbeatTimeoutMs,
      transfers: this.#transfers,
      version: packageVersion(),
      backend: store.name,
      address: this.address,
    });
  }

  #interceptors(metrics: ServerMetrics): ServerInterceptor[] {
    const authenticator = this.#authenticator;
    if (authenticator === undefined) return [];
    const onRefused = (path: string, refusal: AuthenticationRefusal): void => {
      metrics.callRejected(methodOf(path), refusal === 'unavailable' ? 'error' : refusal);
    };
    return [authenticating({ authenticator, logger: this.#logger, onRefused })];
  }

  /** `host:port` with the real port. */
  get address(): string {
    return this.#server?.address ?? '';
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** `host:port` of the metrics; undefined: off, or the port could not be had. */
  get metricsAddress(): string | undefined {
    return this.#metrics?.address;
  }

  /** `host:port` of the page and the probes; undefined: off, or the port could not be had. */
  get httpAddress(): string | undefined {
    return this.#http?.address;
  }

  /**
   * Not ready; the pre-stop delay; no new connections; running calls may end; what is left is ended; the store is closed;
   * metrics last. Idempotent; never rejects.
   */
  stop({ atOnce = false } = {}): Promise<void> {
    this.#stopping ??= this.#stop(atOnce);
    return this.#stopping;
  }

  async #stop(atOnce: boolean): Promise<void> {
    const { preStopDelayMs, drainGraceMs } = this.#config;
    this.#readiness.drain();
    this.#server?.drain();
    if (!atOnce && preStopDelayMs > 0) {
      this.#logger.info('not ready any more; serving on for a while', { delayMs: preStopDelayMs });
      await delay(preStopDelayMs);
    }
    this.#logger.debug('draining', { graceMs: drainGraceMs });
    await this.#server?.close(atOnce ? 0 : drainGraceMs);
    this.#page?.close();
    await this.#http?.close(httpGraceMs);
    await this.#authenticator?.close();
    await this.#closeStore();
    await this.#metrics?.close(httpGraceMs);
  }

  async #closeStore(): Promise<void> {
    const cancel = new AbortController();
    const late = delay(storeGraceMs, 'late' as const, { signal: cancel.signal }).catch(() => undefined);
    const closed = this.#store?.close().catch((error: unknown) => {
      this.#logger.error('the store did not close well', { error: toWeightcastError(error) });
    });
    if ((await Promise.race([closed, late])) === 'late') {
      this.#logger.error('the store is not closed: it does not answer', { waitedMs: storeGraceMs });
    }
    cancel.abort();
  }

  /** A port that nobody asked for may be taken by somebody else; the server serves without. */
  async #listen(what: string, address: Address, routes: Routes, required = false): Promise<HttpListener | undefined> {
    try {
      const listener = await HttpListener.open({ address, routes, logger: this.#logger });
      this.#logger.info(`listening for ${what}`, { address: listener.address });
      return listener;
    } catch (error) {
      if (required) throw error;
      this.#logger.warn(`no ${what}: ${toWeightcastError(error).message}`);
      return undefined;
    }
  }
}

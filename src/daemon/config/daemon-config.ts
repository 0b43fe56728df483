/** What the daemon is started with: every setting decided, grouped as it is used. */
import type { LogLevel } from '../../observe/logger.js';
import type { Address } from '../../rpc/address.js';
import type { EndpointLimits } from '../../rpc/endpoint-limits.js';
import type { AuthenticationOptions } from '../../security/authenticate.js';
import type { ServerTlsFiles } from '../../security/tls-files.js';
import { type CompleteValues, isLoopback } from './defaults.js';
import { anyPort } from './schema.js';
import type { SettingKey } from './settings.js';

export type StoreConfig =
  | { readonly kind: 'memory' }
  | { readonly kind: 'durable'; readonly folder: string }
  | { readonly kind: 'redis'; readonly url: string; readonly oldServers: boolean };

export interface DaemonConfig {
  /** Port 0 takes a free one, here and below. */
  readonly listen: Address;
  /** Absent: off. */
  readonly metrics?: Address;
  /** Absent: off. */
  readonly http?: Address & {
    readonly page: boolean;
    /** The port was asked for: it is an error when it cannot be had. */
    readonly required: boolean;
  };
  readonly metricsScheme: string;
  readonly store: StoreConfig;
  readonly heartbeatTimeoutMs: number;
  readonly gcTimeoutMs: number;
  readonly reaperIntervalMs: number;
  /** Absent: clear text. */
  readonly tls?: ServerTlsFiles;
  readonly auth: AuthenticationOptions;
  readonly limits: Partial<EndpointLimits>;
  readonly log: { readonly level: LogLevel; readonly json: boolean };
  /** How long running calls may take to end. */
  readonly drainGraceMs: number;
  /** How long to serve on, not ready, before draining begins. */
  readonly preStopDelayMs: number;
}

/** A setting that another one calls for, and what is wrong with it. */
export type Problem = readonly [about: SettingKey, text: string];

/** What must hold between settings. */
export function contradictions(values: CompleteValues): Problem[] {
  const problems: Problem[] = [];
  const need = (because: string, key: SettingKey): void => {
    if (values[key] === undefined) problems.push([key, `${key} is not given, and ${because} needs it`]);
  };
  if (values['store.kind'] === 'durable') need('store.kind durable', 'store.path');
  if (values['store.kind'] === 'redis') need('store.kind redis', 'store.redis_url');
  if (values['tls.cert_file'] !== undefined) need('tls.cert_file', 'tls.key_file');
  if (values['tls.key_file'] !== undefined) need('tls.key_file', 'tls.cert_file');
  if (values['tls.client_ca_file'] !== undefined) need('tls.client_ca_file', 'tls.cert_file');
  if (values['security.mode'] === 'token-file') need('security.mode token-file', 'security.token_file');
  if (values['security.mode'] === 'kubernetes') {
    need('security.mode kubernetes', 'security.token_audiences');
    need('security.mode kubernetes', 'security.allowed_service_accounts');
  }
  return problems;
}

/** What is allowed, and should be known. */
export function warningsOf(values: CompleteValues, authenticated: boolean): string[] {
  const warnings: string[] = [];
  const host = values['server.host'];
  if (!authenticated && !isLoopback(host)) {
    warnings.push(`everybody who reaches ${host} may publish and read sources: there is no authentication; see security.mode`);
  }
  if (authenticated && values['tls.cert_file'] === undefined && !isLoopback(host)) {
    warnings.push(`bearer tokens travel to ${host} in clear text: give tls.cert_file, or let a mesh encrypt`);
  }
  if (values['security.mode'] === 'off' && values['security.token_file'] !== undefined) {
    warnings.push('security.token_file is not used: security.mode is off');
  }
  return warnings;
}

/** @param values without contradictions. @param httpPortGiven somebody asked for this HTTP port. */
export function toDaemonConfig(values: CompleteValues, httpPortGiven: boolean): DaemonConfig {
  const port = values['server.port'];
  const metrics = optionalListener(values['server.metrics_host'], values['server.metrics_port']);
  const http = optionalListener(values['http.host'], values['http.port']);
  const tls = tlsOf(values);
  return {
    listen: { host: values['server.host'], port: port === anyPort ? 0 : port },
    ...(metrics !== undefined && { metrics }),
    ...(http !== undefined && { http: { ...http, page: values['http.page'], required: httpPortGiven } }),
    metricsScheme: values['metrics.scheme'],
    store: storeOf(values),
    heartbeatTimeoutMs: values['workers.heartbeat_timeout_secs'],
    gcTimeoutMs: values['workers.gc_timeout_secs'],
    reaperIntervalMs: values['workers.reaper_interval_secs'],
    ...(tls !== undefined && { tls }),
    auth: authOf(values),
    limits: limitsOf(values),
    log: { level: values['logging.level'], json: values['logging.format'] === 'json' },
    drainGraceMs: values['server.drain_grace_secs'],
    preStopDelayMs: values['server.pre_stop_delay_secs'],
  };
}

function optionalListener(host: string, port: number | typeof anyPort): Address | undefined {
  if (port === 0) return undefined;
  return { host, port: port === anyPort ? 0 : port };
}

function storeOf(values: CompleteValues): StoreConfig {
  const kind = values['store.kind'];
  if (kind === 'durable') return { kind, folder: values['store.path'] ?? '' };
  if (kind === 'redis') return { kind, url: values['store.redis_url'] ?? '', oldServers: values['store.redis_old_servers'] };
  return { kind };
}

function tlsOf(values: CompleteValues): ServerTlsFiles | undefined {
  const certFile = values['tls.cert_file'];
  const keyFile = values['tls.key_file'];
  const clientCaFile = values['tls.client_ca_file'];
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, clientCaFile };
}

function authOf(values: CompleteValues): AuthenticationOptions {
  const mode = values['security.mode'];
  if (mode === 'off') return { mode };
  if (mode === 'token-file') return { mode, file: values['security.token_file'] ?? '' };
  return {
    mode,
    audiences: values['security.token_audiences'] ?? [],
    serviceAccounts: values['security.allowed_service_accounts'] ?? [],
    cacheTtlMs: values['security.cache_ttl_secs'],
  };
}

function limitsOf(values: CompleteValues): Partial<EndpointLimits> {
  return {
    connections: values['limits.connections'],
    connectionsPerClient: values['limits.connections_per_client'],
    connectionRatePerClient: values['limits.connections_per_second'],
    handshakeTimeoutMs: values['limits.handshake_timeout_secs'],
    idleTimeoutMs: values['limits.idle_timeout_secs'],
    keepaliveMs: values['limits.keepalive_secs'],
    streamsPerConnection: values['limits.streams_per_connection'],
    callsPerClient: values['limits.calls_per_client'],
    callRatePerClient: values['limits.requests_per_second'],
    callBurstPerClient: values['limits.request_burst'],
    refusalsPerClient: values['limits.refusals_per_client'],
    shutOutMs: values['limits.shut_out_secs'],
    messageBytes: values['limits.message_bytes'],
    receivingPerClient: values['limits.receiving_per_client'],
    receivingRatePerClient: values['limits.receiving_bytes_per_second'],
    receiveTimeoutMs: values['limits.receive_timeout_secs'],
    sendingBytesPerClient: values['limits.sending_bytes_per_client'],
  };
}

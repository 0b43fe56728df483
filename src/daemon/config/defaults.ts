/** What is taken where nobody said; some defaults depend on what was said elsewhere. */
import { defaultLimits } from '../../rpc/endpoint-limits.js';
import type { Values } from './schema.js';

/** Settings that may stay open. */
type OptionalKey =
  | 'store.path'
  | 'store.redis_url'
  | 'tls.cert_file'
  | 'tls.key_file'
  | 'tls.client_ca_file'
  | 'security.token_file'
  | 'security.token_audiences'
  | 'security.allowed_service_accounts';

/** Every setting, decided. */
export type CompleteValues = {
  readonly [K in keyof Values]-?: K extends OptionalKey ? Values[K] | undefined : NonNullable<Values[K]>;
};

/** A default, and why it is that one when it could have been another. */
interface Default<T> {
  readonly value: T;
  readonly because?: string;
}

export type Defaults = { readonly [K in keyof CompleteValues]: Default<CompleteValues[K]> };

/** Only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3}|localhost)$/i.test(host);
}

/** True when a stranger cannot call: tokens are asked for, or certificates. */
export function isAuthenticated(given: Values): boolean {
  return (given['security.mode'] ?? impliedMode(given)) !== 'off' || given['tls.client_ca_file'] !== undefined;
}

function impliedMode(given: Values): 'off' | 'token-file' {
  return given['security.token_file'] === undefined ? 'off' : 'token-file';
}

export function defaultsFor(given: Values): Defaults {
  const authenticated = isAuthenticated(given);
  const host: Default<string> = authenticated
    ? { value: '0.0.0.0', because: 'clients must authenticate' }
    : { value: '127.0.0.1', because: 'without authentication only this machine may call; give a host to change it' };
  const serverHost = given['server.host'] ?? host.value;
  const asServer = { value: serverHost, because: 'as server.host' };
  const pageIsOpen = authenticated && !isLoopback(given['http.host'] ?? serverHost);
  return {
    'server.host': host,
    'server.port': { value: 8001 },
    'server.drain_grace_secs': { value: 5000 },
    'server.pre_stop_delay_secs': { value: 0 },
    'server.metrics_host': asServer,
    'server.metrics_port': { value: 9401 },
    'http.host': asServer,
    'http.port': { value: 8002 },
    'http.page': pageIsOpen ? { value: false, because: 'clients must authenticate, and readers of the page need not' } : { value: true },
    'store.kind': { value: 'memory' },
    'store.path': { value: undefined },
    'store.redis_url': { value: undefined },
    'store.redis_old_servers': { value: false },
    'workers.heartbeat_timeout_secs': { value: 90_000 },
    'workers.gc_timeout_secs': { value: 3_600_000 },
    'workers.reaper_interval_secs': { value: 30_000 },
    'tls.cert_file': { value: undefined },
    'tls.key_file': { value: undefined },
    'tls.client_ca_file': { value: undefined },
    'security.mode': impliedMode(given) === 'off' ? { value: 'off' } : { value: 'token-file', because: 'security.token_file is given' },
    'security.token_file': { value: undefined },
    'security.token_audiences': { value: undefined },
    'security.allowed_service_accounts': { value: undefined },
    'security.cache_ttl_secs': { value: 60_000 },
    'limits.connections': { value: defaultLimits.connections },
    'limits.connections_per_client': { value: defaultLimits.connectionsPerClient },
    'limits.connections_per_second': { value: defaultLimits.connectionRatePerClient },
    'limits.handshake_timeout_secs': { value: defaultLimits.handshakeTimeoutMs },
    'limits.idle_timeout_secs': { value: defaultLimits.idleTimeoutMs },
    'limits.keepalive_secs': { value: defaultLimits.keepaliveMs },
    'limits.streams_per_connection': { value: defaultLimits.streamsPerConnection },
    'limits.calls_per_client': { value: defaultLimits.callsPerClient },
    'limits.requests_per_second': { value: defaultLimits.callRatePerClient },
    'limits.request_burst': { value: burstFor(given['limits.requests_per_second']) },
    'limits.refusals_per_client': { value: defaultLimits.refusalsPerClient },
    'limits.shut_out_secs': { value: defaultLimits.shutOutMs },
    'limits.message_bytes': { value: defaultLimits.messageBytes },
    'limits.receiving_per_client': { value: defaultLimits.receivingPerClient },
    'limits.receiving_bytes_per_second': { value: defaultLimits.receivingRatePerClient },
    'limits.receive_timeout_secs': { value: defaultLimits.receiveTimeoutMs },
    'limits.sending_bytes_per_client': { value: defaultLimits.sendingBytesPerClient },
    'logging.level': { value: 'info' },
    'logging.format': { value: 'pretty' },
    'metrics.scheme': { value: '' },
  };
}

/** Two seconds' worth; without a rate it limits nothing. */
function burstFor(rate = 0): number {
  return rate === 0 ? defaultLimits.callBurstPerClient : Math.min(2 * rate, 0x7fff_ffff);
}

/**
 * Every setting of the daemon: what it is called in a file, on the command line and in the environment. Plain data, so
 * that building the command line loads nothing. What values look like is `schema.ts`'s business.
 */

export interface Setting {
  /** As commander takes it: `--host <address>`; absent: only file and environment. */
  readonly flag?: string;
  /** ModelExpress' names, in order of precedence; {@link ownVariable} goes before them. */
  readonly env?: readonly string[];
  /** ModelExpress reads these as whole seconds and goes on with the default when it cannot; so do we, with a warning. */
  readonly lenientEnv?: true;
  /** The default as people read it. */
  readonly default: string;
  readonly help: string;
}

export const settings = {
  'server.host': {
    flag: '--host <address>',
    env: ['MODEL_EXPRESS_SERVER_HOST'],
    default: '127.0.0.1; 0.0.0.0 with authentication',
    help: 'address to listen on for gRPC',
  },
  'server.port': {
    flag: '--port <n>',
    env: ['MODEL_EXPRESS_SERVER_PORT'],
    default: '8001',
    help: 'port for gRPC; 0 or any takes a free one',
  },
  'server.drain_grace_secs': {
    flag: '--drain-grace <s>',
    default: '5',
    help: 'how long running calls may take to end after a signal',
  },
  'server.pre_stop_delay_secs': {
    flag: '--pre-stop-delay <s>',
    default: '0',
    help: 'how long to go on serving, not ready, after a signal, until load balancers have noticed',
  },
  'server.metrics_host': {
    flag: '--metrics-host <address>',
    default: 'server.host',
    help: 'address to listen on for metrics',
  },
  'server.metrics_port': {
    flag: '--metrics-port <n>',
    env: ['MODEL_EXPRESS_SERVER_METRICS_PORT'],
    default: '9401',
    help: 'port for Prometheus metrics; 0 switches them off, any takes a free one',
  },
  'http.host': {
    flag: '--http-host <address>',
    default: 'server.host',
    help: 'address to listen on for the page, /livez and /readyz',
  },
  'http.port': {
    flag: '--http-port <n>',
    default: '8002',
    help: 'port for the page, /livez and /readyz; 0 switches them off, any takes a free one',
  },
  'http.page': {
    flag: '--page <on|off>',
    default: 'on; off with authentication, unless http.host is loopback',
    help: 'show sources and transfers as a page on the HTTP port, to everybody who reaches it',
  },
  'store.kind': {
    flag: '--store <kind>',
    env: ['MX_METADATA_BACKEND'],
    default: 'memory',
    help: 'where sources are kept: memory, durable (a folder) or redis (shared by several servers)',
  },
  'store.path': {
    flag: '--store-path <folder>',
    default: 'none; durable needs it',
    help: 'folder of the durable store; made when it is not there',
  },
  'store.redis_url': {
    flag: '--redis-url <url>',
    env: ['REDIS_URL'],
    default: 'none; redis needs it',
    help: 'redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix:///path',
  },
  'store.redis_old_servers': {
    default: 'off',
    help: 'ModelExpress servers before 0.5 write to the same Redis: look into every record, which costs time',
  },
  'workers.heartbeat_timeout_secs': {
    flag: '--heartbeat-timeout <s>',
    env: ['MX_HEARTBEAT_TIMEOUT_SECS'],
    lenientEnv: true,
    default: '90',
    help: 'silence after which a source is not READY any more',
  },
  'workers.gc_timeout_secs': {
    flag: '--gc-timeout <s>',
    env: ['MX_GC_TIMEOUT_SECS'],
    lenientEnv: true,
    default: '3600',
    help: 'time after which a STALE source is forgotten',
  },
  'workers.reaper_interval_secs': {
    flag: '--reaper-interval <s>',
    env: ['MX_REAPER_SCAN_INTERVAL_SECS'],
    lenientEnv: true,
    default: '30',
    help: 'time between two looks for silent sources',
  },
  'tls.cert_file': {
    flag: '--tls-cert <file>',
    env: ['MODEL_EXPRESS_TLS_CERT'],
    default: 'none; clear text',
    help: "the server's certificate and intermediate ones, PEM; read again when it changes",
  },
  'tls.key_file': {
    flag: '--tls-key <file>',
    env: ['MODEL_EXPRESS_TLS_KEY'],
    default: 'none; tls.cert_file needs it',
    help: 'its private key, PEM',
  },
  'tls.client_ca_file': {
    flag: '--tls-client-ca <file>',
    default: 'none',
    help: 'clients must show a certificate that one of these authorities signed (mutual TLS), PEM',
  },
  'security.mode': {
    flag: '--auth <mode>',
    env: ['MODEL_EXPRESS_SECURITY_MODE'],
    default: 'off; token-file when security.token_file is given',
    help: 'who may call: off (everybody), token-file or kubernetes (TokenReview; enforce is the same)',
  },
  'security.token_file': {
    flag: '--auth-token-file <file>',
    default: 'none',
    help: 'bearer tokens that are let in, one a line; read again when it changes',
  },
  'security.token_audiences': {
    flag: '--auth-audiences <names>',
    env: ['MODEL_EXPRESS_SECURITY_TOKEN_AUDIENCES'],
    default: 'none; kubernetes needs one',
    help: 'audiences of which a token must have one, separated by commas',
  },
  'security.allowed_service_accounts': {
    flag: '--auth-service-accounts <names>',
    env: ['MODEL_EXPRESS_SECURITY_ALLOWED_SERVICE_ACCOUNTS'],
    default: 'none; kubernetes needs one',
    help: 'service accounts that are let in, namespace:name, separated by commas',
  },
  'security.cache_ttl_secs': {
    flag: '--auth-cache-ttl <s>',
    env: ['MODEL_EXPRESS_SECURITY_CACHE_TTL_SECS'],
    default: '60',
    help: 'how long the verdict on a token is kept',
  },
  'limits.connections': {
    flag: '--max-connections <n>',
    default: '10000, or fewer where fewer open files are allowed',
    help: 'open connections of all clients',
  },
  'limits.connections_per_client': {
    flag: '--max-connections-per-client <n>',
    default: '1000',
    help: 'open connections of one client address',
  },
  'limits.connections_per_second': {
    default: '100',
    help: 'new connections of one client address a second; 0: any number',
  },
  'limits.handshake_timeout_secs': {
    default: '10',
    help: 'time for the TLS handshake and the first words of HTTP/2',
  },
  'limits.idle_timeout_secs': {
    default: '300',
    help: 'a connection without calls is closed after this long; 0: never',
  },
  'limits.keepalive_secs': {
    default: '60',
    help: 'pause between pings that find peers that are gone; 0: no pings',
  },
  'limits.streams_per_connection': {
    default: '32',
    help: 'calls at the same time on one connection',
  },
  'limits.calls_per_client': {
    flag: '--max-calls-per-client <n>',
    default: '1000',
    help: 'calls of one client at the same time',
  },
  'limits.requests_per_second': {
    flag: '--max-requests-per-second <n>',
    default: '2000',
    help: 'calls of one client a second; 0: any number',
  },
  'limits.request_burst': {
    default: 'twice limits.requests_per_second',
    help: 'calls of one client that may come at once after a quiet time',
  },
  'limits.refusals_per_client': {
    default: '2000',
    help: 'calls of one client address that may be refused before its connections are closed',
  },
  'limits.shut_out_secs': {
    default: '10',
    help: 'how long a client address with too many refused calls is kept out; 0: not at all',
  },
  'limits.message_bytes': {
    flag: '--max-message-bytes <n>',
    default: '100MiB',
    help: 'largest message, both ways',
  },
  'limits.receiving_per_client': {
    default: '8',
    help: 'requests of one client that are received at the same time',
  },
  'limits.receiving_bytes_per_second': {
    default: '32MiB',
    help: 'bytes of requests of one client a second, after a burst; what is above waits; 0: any number',
  },
  'limits.receive_timeout_secs': {
    default: '60',
    help: 'time for a request to arrive once it is its turn',
  },
  'limits.sending_bytes_per_client': {
    default: '128MiB',
    help: 'replies on the way to one client',
  },
  'logging.level': {
    flag: '--log-level <level>',
    env: ['MODEL_EXPRESS_LOG_LEVEL'],
    default: 'info',
    help: 'debug, info, warn, error or silent',
  },
  'logging.format': {
    flag: '--log-format <format>',
    env: ['MODEL_EXPRESS_LOG_FORMAT'],
    default: 'pretty; json with --json',
    help: 'pretty (compact is the same) or json, one object a line',
  },
  'metrics.scheme': {
    env: ['MX_METRICS_SCHEME'],
    default: 'empty',
    help: 'value of the label scheme of mx_build_info',
  },
} as const satisfies Record<string, Setting>;

/** The name of a setting in a file: section, dot, key. */
export type SettingKey = keyof typeof settings;

export const settingKeys = Object.keys(settings) as readonly SettingKey[];

/** With the type that all settings have in common. */
export function settingOf(key: SettingKey): Setting {
  return settings[key];
}

/** Our own variable of a setting: `WEIGHTCAST_SERVER_HOST` for `server.host`. */
export function ownVariable(key: SettingKey): string {
  return `WEIGHTCAST_${key.replace('.', '_').toUpperCase()}`;
}

/** `--host` of `--host <address>`. */
export function flagName(flag: string): string {
  return flag.split(' ', 1)[0] ?? flag;
}

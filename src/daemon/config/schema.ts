/** What the value of each setting must be. Values come as text (flags, environment) or as YAML has them (files). */
import { isIP } from 'node:net';
import * as v from 'valibot';
import { checkUrl } from '../../metadata/stores/redis/url.js';
import type { SettingKey } from './settings.js';

/** What a value must be, and what people are told that it must be. */
export interface Rule<T> {
  /** "an integer from 0 to 65535" */
  readonly expected: string;
  readonly schema: v.GenericSchema<unknown, T>;
  /** More about values that many will try. */
  readonly hint?: (received: unknown) => string | undefined;
}

function rule<T>(expected: string, schema: v.GenericSchema<unknown, T>, hint?: Rule<T>['hint']): Rule<T> {
  return { expected, schema, ...(hint !== undefined && { hint }) };
}

const text = v.pipe(v.string(), v.trim(), v.nonEmpty());

const decimal = v.union([
  v.number(),
  v.pipe(
    text,
    v.regex(/^\d+(\.\d+)?$/),
    v.transform((digits) => Number(digits)),
  ),
]);

/** A port that the system chooses. */
export const anyPort = 'any';

const port = rule(
  'a port from 0 to 65535, or any',
  v.union([v.pipe(text, v.toLowerCase(), v.literal(anyPort)), v.pipe(decimal, v.integer(), v.minValue(0), v.maxValue(65_535))]),
);

/** Timers take no more than 2^31 - 1 ms. */
const longestSeconds = 2_147_483;

/** Seconds in, milliseconds out. */
function seconds(least: number): Rule<number> {
  return rule(
    `seconds from ${String(least)} to ${String(longestSeconds)}`,
    v.pipe(
      decimal,
      v.minValue(least),
      v.maxValue(longestSeconds),
      v.transform((value) => Math.round(value * 1000)),
    ),
  );
}

function count(least: 0 | 1): Rule<number> {
  const most = 0x7fff_ffff;
  return rule(`a whole number from ${String(least)} to ${String(most)}`, v.pipe(decimal, v.integer(), v.minValue(least), v.maxValue(most)));
}

const unitBytes: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

function bytes(least: 0 | 1): Rule<number> {
  const expected = `bytes from ${String(least)} to 2147483647, with a unit if you like: 64MB (10^6), 100MiB (2^20)`;
  const schema = v.pipe(
    v.union([v.number(), text]),
    v.transform((given) => {
      const [, digits = '', unit = '?'] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(String(given)) ?? [];
      return Math.round(Number(digits) * (unitBytes[unit.toUpperCase()] ?? Number.NaN));
    }),
    v.number(),
    v.minValue(least),
    v.maxValue(0x7fff_ffff),
  );
  return rule(expected, schema);
}

/** Words, in any case; some are other words for the same. */
function word<const T extends string>(choices: readonly T[], synonyms: Readonly<Record<string, T>> = {}, hint?: Rule<T>['hint']): Rule<T> {
  const known = v.pipe(
    text,
    v.toLowerCase(),
    v.transform((given) => synonyms[given] ?? given),
    v.picklist(choices),
  );
  return rule(`one of ${choices.join(', ')}`, known, hint);
}

const yes: unknown[] = [true, 'true', 'on', 'yes', '1', 1];
const no: unknown[] = [false, 'false', 'off', 'no', '0', 0];

const onOff = rule(
  'on or off',
  v.pipe(
    v.unknown(),
    v.transform((value) => (typeof value === 'string' ? value.trim().toLowerCase() : value)),
    v.check((value) => yes.includes(value) || no.includes(value)),
    v.transform((value) => yes.includes(value)),
  ),
);

const host = rule(
  'an address of this machine without a port: 10.0.0.5, ::1 or a host name',
  v.pipe(
    text,
    v.transform((given) => given.replace(/^\[(.*)\]$/, '$1')),
    // A name with only digits in its last label would be read as an IPv4 address.
    v.check((given) => isIP(given) !== 0 || (/^(?!-)[\w-]{1,63}(\.[\w-]{1,63})*\.?$/.test(given) && !/^[\d.]+$/.test(given))),
  ),
);

/** A list, or its members separated by commas. */
function list(member: v.GenericSchema<unknown, string>): v.GenericSchema<unknown, readonly string[]> {
  const split = v.pipe(
    v.string(),
    v.transform((given) =>
      given
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    ),
  );
  return v.pipe(v.union([v.array(v.unknown()), split]), v.array(member), v.minLength(1), v.readonly());
}

/** `namespace:name`; files may also have ModelExpress' two members. */
const serviceAccount = v.pipe(
  v.union([
    text,
    v.pipe(
      v.strictObject({ namespace: text, service_account: text }),
      v.transform((account) => `${account.namespace}:${account.service_account}`),
    ),
  ]),
  v.regex(/^[^:\s]+:[^:\s]+$/),
);

const redisUrl = v.pipe(text, v.check(isRedisUrl));

function isRedisUrl(given: string): boolean {
  try {
    checkUrl(given);
    return true;
  } catch {
    return false;
  }
}

const inKubernetes = new Set(['kubernetes', 'k8s', 'crd']);

const storeHint = (received: unknown): string | undefined =>
  typeof received === 'string' && inKubernetes.has(received.trim().toLowerCase())
    ? 'sources are not kept as Kubernetes objects here; several servers share a redis'
    : undefined;

const file = rule('the path of a file', text);

/** One rule for each setting. */
export const rules = {
  'server.host': host,
  'server.port': port,
  'server.drain_grace_secs': seconds(0),
  'server.pre_stop_delay_secs': seconds(0),
  'server.metrics_host': host,
  'server.metrics_port': port,
  'http.host': host,
  'http.port': port,
  'http.page': onOff,
  'store.kind': word(['memory', 'durable', 'redis'], {}, storeHint),
  'store.path': rule('the path of a folder', text),
  'store.redis_url': rule('redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix:///path', redisUrl),
  'store.redis_old_servers': onOff,
  'workers.heartbeat_timeout_secs': seconds(0.1),
  'workers.gc_timeout_secs': seconds(0.1),
  'workers.reaper_interval_secs': seconds(0.1),
  'tls.cert_file': file,
  'tls.key_file': file,
  'tls.client_ca_file': file,
  'security.mode': word(['off', 'token-file', 'kubernetes'], { enforce: 'kubernetes' }),
  'security.token_file': file,
  'security.token_audiences': rule('names, separated by commas', list(text)),
  'security.allowed_service_accounts': rule('namespace:name, separated by commas', list(serviceAccount)),
  'security.cache_ttl_secs': seconds(0),
  'limits.connections': count(1),
  'limits.connections_per_client': count(1),
  'limits.connections_per_second': count(0),
  'limits.handshake_timeout_secs': seconds(0.1),
  'limits.idle_timeout_secs': seconds(0),
  'limits.keepalive_secs': seconds(0),
  'limits.streams_per_connection': count(1),
  'limits.calls_per_client': count(1),
  'limits.requests_per_second': count(0),
  'limits.request_burst': count(1),
  'limits.refusals_per_client': count(1),
  'limits.shut_out_secs': seconds(0),
  'limits.message_bytes': bytes(1),
  'limits.receiving_per_client': count(1),
  'limits.receiving_bytes_per_second': bytes(0),
  'limits.receive_timeout_secs': seconds(0.1),
  'limits.sending_bytes_per_client': bytes(1),
  'logging.level': word(['debug', 'info', 'warn', 'error', 'silent'], { trace: 'debug', warning: 'warn', off: 'silent' }),
  'logging.format': word(['pretty', 'json'], { compact: 'pretty' }),
  'metrics.scheme': rule('a text', v.pipe(v.string(), v.trim())),
} as const satisfies Record<SettingKey, Rule<unknown>>;

/** What was given, in the form that the program works with: times in milliseconds. Absent: not given. */
export type Values = { readonly [K in SettingKey]?: v.InferOutput<(typeof rules)[K]['schema']> };

/** The value in the program's form, or what is wrong with it: "expected … for KEY but received …". */
export function check(key: SettingKey, raw: unknown): { readonly value: unknown } | { readonly problem: string } {
  const { expected, schema, hint }: Rule<unknown> = rules[key];
  const result = v.safeParse(schema, raw);
  if (result.success) return { value: result.output };
  const more = hint?.(raw);
  const problem = `expected ${expected} for ${key} but received ${shown(raw)}`;
  return { problem: more === undefined ? problem : `${problem}: ${more}` };
}

/** Of a URL, also of one that is damaged. */
const credentials = /^(\w+:(?:\/\/)?)?.*@/s;

function shown(raw: unknown): string {
  if (raw === null || raw === undefined) return 'nothing';
  const json = JSON.stringify(typeof raw === 'string' ? raw.replace(credentials, '$1***@') : raw);
  return json.length > 100 ? `${json.slice(0, 100)}…` : json;
}

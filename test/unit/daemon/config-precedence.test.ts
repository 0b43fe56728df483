/** Flag before environment before file before default, for every setting there is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { flagName, ownVariable, type SettingKey, settingKeys, settingOf } from '#src/daemon/config/settings.js';
import { resolve, valueOf } from './support.js';

/** Three good values of each setting: in a file, in the environment, as a flag; none is a default. */
const samples: Readonly<Record<SettingKey, readonly [file: string, env: string, flag: string]>> = {
  'server.host': ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  'server.port': ['1001', '1002', '1003'],
  'server.drain_grace_secs': ['11', '12', '13'],
  'server.pre_stop_delay_secs': ['1', '2', '3'],
  'server.metrics_host': ['10.1.0.1', '10.1.0.2', '10.1.0.3'],
  'server.metrics_port': ['2001', '2002', '2003'],
  'http.host': ['10.2.0.1', '10.2.0.2', '10.2.0.3'],
  'http.port': ['3001', '3002', '3003'],
  'http.page': ['off', 'on', 'off'],
  'store.kind': ['durable', 'memory', 'durable'],
  'store.path': ['/a', '/b', '/c'],
  'store.redis_url': ['redis://a:1', 'redis://b:2', 'redis://c:3'],
  'store.redis_old_servers': ['on', 'off', 'on'],
  'workers.heartbeat_timeout_secs': ['21', '22', '23'],
  'workers.gc_timeout_secs': ['31', '32', '33'],
  'workers.reaper_interval_secs': ['41', '42', '43'],
  'tls.cert_file': ['/a', '/b', '/c'],
  'tls.key_file': ['/a', '/b', '/c'],
  'tls.client_ca_file': ['/a', '/b', '/c'],
  'security.mode': ['token-file', 'off', 'token-file'],
  'security.token_file': ['/a', '/b', '/c'],
  'security.token_audiences': ['a', 'b,c', 'd'],
  'security.allowed_service_accounts': ['n:a', 'n:b,n:c', 'n:d'],
  'security.cache_ttl_secs': ['51', '52', '53'],
  'limits.connections': ['61', '62', '63'],
  'limits.connections_per_client': ['61', '62', '63'],
  'limits.connections_per_second': ['61', '62', '63'],
  'limits.handshake_timeout_secs': ['61', '62', '63'],
  'limits.idle_timeout_secs': ['61', '62', '63'],
  'limits.keepalive_secs': ['61', '62', '63'],
  'limits.streams_per_connection': ['61', '62', '63'],
  'limits.calls_per_client': ['61', '62', '63'],
  'limits.requests_per_second': ['61', '62', '63'],
  'limits.request_burst': ['61', '62', '63'],
  'limits.refusals_per_client': ['61', '62', '63'],
  'limits.shut_out_secs': ['61', '62', '63'],
  'limits.message_bytes': ['1MiB', '2MiB', '3MiB'],
  'limits.receiving_per_client': ['61', '62', '63'],
  'limits.receiving_bytes_per_second': ['1MiB', '2MiB', '3MiB'],
  'limits.receive_timeout_secs': ['61', '62', '63'],
  'limits.sending_bytes_per_client': ['1MiB', '2MiB', '3MiB'],
  'logging.level': ['warn', 'error', 'debug'],
  'logging.format': ['json', 'pretty', 'json'],
  'metrics.scheme': ['a', 'b', 'c'],
};

/** What other settings must say for this one to be looked at, or to be no contradiction. */
const base: Readonly<Record<string, string>> = {
  WEIGHTCAST_STORE_PATH: '/durable',
  WEIGHTCAST_TLS_CERT_FILE: '/cert',
  WEIGHTCAST_TLS_KEY_FILE: '/key',
  WEIGHTCAST_SECURITY_TOKEN_FILE: '/tokens',
};

function baseFor(key: SettingKey): Record<string, string> {
  const env: Record<string, string> = { ...base };
  Reflect.deleteProperty(env, ownVariable(key));
  if (key === 'store.redis_url') env['MX_METADATA_BACKEND'] = 'redis';
  return env;
}

function yamlOf(key: SettingKey, value: string): string {
  const [section = '', name = ''] = key.split('.');
  return `${section}:\n  ${name}: ${value}\n`;
}

function camelCased(flag: string): string {
  return flagName(flag)
    .slice(2)
    .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Values as they were given, made comparable: lists joined, times in seconds, sizes in MiB, switches as words. */
function asGiven(key: SettingKey, value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'number' && key.endsWith('_secs')) return String(value / 1000);
  if (typeof value === 'number' && samples[key][0].endsWith('MiB')) return `${String(value / 2 ** 20)}MiB`;
  return String(value);
}

describe('each setting comes from the flag, else the environment, else the file', () => {
  it('and there are samples for all of them', () => {
    assert.deepEqual(Object.keys(samples).sort(), [...settingKeys].sort());
  });

  for (const key of settingKeys) {
    it(key, async (test) => {
      const [inFile, inEnv, asFlag] = samples[key];
      const { flag, env: names = [] } = settingOf(key);
      const rest = baseFor(key);
      const yaml = yamlOf(key, inFile);

      const file = valueOf(await resolve(test, { env: rest, yaml }), key);
      assert.equal(asGiven(key, file.value), inFile);
      assert.equal(file.origin, 'file');
      assert.match(file.where, /config\.yaml:2$/);

      for (const name of [ownVariable(key), ...names]) {
        const env = valueOf(await resolve(test, { env: { ...rest, [name]: inEnv }, yaml }), key);
        assert.deepEqual([asGiven(key, env.value), env.origin, env.where], [inEnv, 'environment', name]);
      }
      if (flag === undefined) return;
      const env = { ...rest, [ownVariable(key)]: inEnv };
      const first = valueOf(await resolve(test, { flags: { [camelCased(flag)]: asFlag }, env, yaml }), key);
      assert.deepEqual([asGiven(key, first.value), first.origin, first.where], [asFlag, 'flag', flagName(flag)]);
    });
  }

  it('our own variable goes before those of ModelExpress', async (test) => {
    const env = { WEIGHTCAST_SERVER_PORT: '1', MODEL_EXPRESS_SERVER_PORT: '2' };
    assert.equal((await resolve(test, { env })).config.listen.port, 1);
  });

  it('an empty variable is none', async (test) => {
    const env = { MODEL_EXPRESS_SERVER_PORT: '', MX_METADATA_BACKEND: ' ', REDIS_URL: '' };
    const config = await resolve(test, { env });
    assert.equal(config.config.listen.port, 8001);
    assert.deepEqual(config.config.store, { kind: 'memory' });
  });

  it('--listen is host and port; --json, --quiet and --verbose are settings too', async (test) => {
    const { config } = await resolve(test, {
      flags: { listen: '[::1]:0', json: true, verbose: true },
      env: { MODEL_EXPRESS_LOG_LEVEL: 'error' },
    });
    assert.deepEqual(config.listen, { host: '::1', port: 0 });
    assert.deepEqual(config.log, { level: 'debug', json: true });
    const asked = await resolve(test, { flags: { json: true, logFormat: 'pretty', quiet: true } });
    assert.deepEqual(asked.config.log, { level: 'error', json: false });
  });
});

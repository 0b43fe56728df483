import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultLimits } from '#src/rpc/endpoint-limits.js';
import { type Layers, resolve, valueOf } from './support.js';

interface Bad {
  readonly layers: Layers;
  readonly code: 'ERR_CONFIG' | 'ERR_INVALID_ARGUMENT';
  readonly says: RegExp;
}

/** What is wrong is named: where it stands, which setting, what is expected, what came. */
const bad: readonly Bad[] = [
  {
    layers: { flags: { port: '65536' } },
    code: 'ERR_INVALID_ARGUMENT',
    says: /^--port: expected a port from 0 to 65535, or any for server\.port but received "65536"$/,
  },
  { layers: { env: { MODEL_EXPRESS_SERVER_PORT: '-1' } }, code: 'ERR_CONFIG', says: /^MODEL_EXPRESS_SERVER_PORT: expected a port/ },
  { layers: { yaml: 'server:\n  port: 1.5\n' }, code: 'ERR_CONFIG', says: /config\.yaml:2: expected a port .* received 1\.5$/ },
  { layers: { yaml: 'server:\n  host: [a]\n' }, code: 'ERR_CONFIG', says: /expected an address of this machine .* received \["a"\]$/ },
  { layers: { flags: { host: '1.2.3.4:80' } }, code: 'ERR_INVALID_ARGUMENT', says: /without a port/ },
  { layers: { flags: { drainGrace: 'soon' } }, code: 'ERR_INVALID_ARGUMENT', says: /--drain-grace: expected seconds from 0 to 2147483/ },
  { layers: { flags: { page: 'maybe' } }, code: 'ERR_INVALID_ARGUMENT', says: /expected on or off for http\.page/ },
  {
    layers: { flags: { maxMessageBytes: '1 parsec' } },
    code: 'ERR_INVALID_ARGUMENT',
    says: /expected bytes from 1 .* received "1 parsec"/,
  },
  { layers: { flags: { maxMessageBytes: '3GiB' } }, code: 'ERR_INVALID_ARGUMENT', says: /2147483647/ },
  { layers: { flags: { maxConnections: '0' } }, code: 'ERR_INVALID_ARGUMENT', says: /a whole number from 1/ },
  {
    layers: { env: { MX_METADATA_BACKEND: 'Kubernetes' } },
    code: 'ERR_CONFIG',
    says: /not kept as Kubernetes objects here; several servers share a redis/,
  },
  {
    layers: { env: { MX_METADATA_BACKEND: 'etcd' } },
    code: 'ERR_CONFIG',
    says: /expected one of memory, durable, redis for store\.kind but received "etcd"$/,
  },
  { layers: { flags: { store: 'durable' } }, code: 'ERR_CONFIG', says: /^store\.path is not given, and store\.kind durable needs it$/ },
  { layers: { flags: { store: 'redis' } }, code: 'ERR_CONFIG', says: /^store\.redis_url is not given, and store\.kind redis needs it$/ },
  { layers: { flags: { store: 'redis', redisUrl: 'http://x' } }, code: 'ERR_INVALID_ARGUMENT', says: /--redis-url: expected redis:\/\// },
  { layers: { flags: { tlsCert: '/c' } }, code: 'ERR_CONFIG', says: /tls\.key_file is not given, and tls\.cert_file needs it/ },
  { layers: { flags: { tlsKey: '/k' } }, code: 'ERR_CONFIG', says: /tls\.cert_file is not given, and tls\.key_file needs it/ },
  { layers: { flags: { tlsClientCa: '/k' } }, code: 'ERR_CONFIG', says: /tls\.cert_file is not given, and tls\.client_ca_file needs it/ },
  { layers: { flags: { auth: 'token-file' } }, code: 'ERR_CONFIG', says: /security\.token_file is not given/ },
  {
    layers: { flags: { auth: 'kubernetes' } },
    code: 'ERR_CONFIG',
    says: /security\.token_audiences is not given[^]*security\.allowed_service_accounts is not given/,
  },
  { layers: { flags: { authServiceAccounts: 'ns/sa' } }, code: 'ERR_INVALID_ARGUMENT', says: /expected namespace:name/ },
  { layers: { flags: { authAudiences: ' , ' } }, code: 'ERR_INVALID_ARGUMENT', says: /expected names, separated by commas/ },
  { layers: { env: { MODEL_EXPRESS_SECURITY_MODE: 'on' } }, code: 'ERR_CONFIG', says: /one of off, token-file, kubernetes/ },
  { layers: { flags: { logLevel: 'loud' } }, code: 'ERR_INVALID_ARGUMENT', says: /one of debug, info, warn, error, silent/ },
  // A bad value is an error also where another value wins.
  { layers: { flags: { port: '1' }, yaml: 'server: { port: x }' }, code: 'ERR_CONFIG', says: /server\.port but received "x"/ },
  // Everything at once, and flags alone do not make it a usage error.
  {
    layers: { flags: { port: 'x' }, env: { WEIGHTCAST_HTTP_PORT: 'y' } },
    code: 'ERR_CONFIG',
    says: /^--port: [^]*\nWEIGHTCAST_HTTP_PORT: /,
  },
];

describe('a bad value', () => {
  for (const { layers, code, says } of bad) {
    it(JSON.stringify(layers), async (test) => {
      await assert.rejects(resolve(test, layers), { code, message: says });
    });
  }

  it('in a variable that ModelExpress is lenient about is a warning, and the next value is taken', async (test) => {
    const env = { MX_HEARTBEAT_TIMEOUT_SECS: 'ninety', MX_GC_TIMEOUT_SECS: '1.5', MX_REAPER_SCAN_INTERVAL_SECS: '0' };
    const { config, warnings } = await resolve(test, { env, yaml: 'workers: { gc_timeout_secs: 7 }' });
    assert.deepEqual([config.heartbeatTimeoutMs, config.gcTimeoutMs, config.reaperIntervalMs], [90_000, 7000, 30_000]);
    for (const name of Object.keys(env))
      assert.ok(
        warnings.some((warning) => warning.startsWith(`${name}: expected seconds`)),
        name,
      );
    await assert.rejects(resolve(test, { env: { WEIGHTCAST_WORKERS_GC_TIMEOUT_SECS: 'x' } }), { code: 'ERR_CONFIG' });
  });

  it('never shows a password', async (test) => {
    for (const url of ['redis://user:hunter2@host:1x', 'rediss://:hunter2@', 'redis:hunter2@x']) {
      await assert.rejects(resolve(test, { flags: { store: 'redis', redisUrl: url } }), (error: Error) => {
        assert.ok(!error.message.includes('hunter2'), error.message);
        return true;
      });
    }
  });
});

describe('without authentication', () => {
  it('the server, the page and the metrics are for this machine only, and the reason is said', async (test) => {
    const resolved = await resolve(test, {});
    assert.equal(resolved.config.listen.host, '127.0.0.1');
    assert.equal(resolved.config.metrics?.host, '127.0.0.1');
    assert.deepEqual(resolved.config.http, { host: '127.0.0.1', port: 8002, page: true, required: false });
    assert.match(valueOf(resolved, 'server.host').where, /without authentication only this machine may call/);
    assert.deepEqual(resolved.warnings, []);
  });

  for (const layers of [
    { flags: { host: '0.0.0.0' } },
    { env: { MODEL_EXPRESS_SERVER_HOST: '0.0.0.0' } },
    { yaml: 'server: { host: 0.0.0.0 }' },
  ]) {
    it(`an address that was given is taken, with a warning: ${JSON.stringify(layers)}`, async (test) => {
      const { config, warnings } = await resolve(test, layers);
      assert.deepEqual(
        [config.listen.host, config.metrics?.host, config.http?.host, config.http?.page],
        ['0.0.0.0', '0.0.0.0', '0.0.0.0', true],
      );
      assert.match(warnings.join(), /everybody who reaches 0\.0\.0\.0 may publish and read/);
    });
  }

  it('loopback in all its forms is no reason to warn', async (test) => {
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost']) {
      assert.deepEqual((await resolve(test, { flags: { host } })).warnings, [], host);
    }
    assert.equal((await resolve(test, { flags: { host: '127.0.0.1.example.org' } })).warnings.length, 1);
  });

  it('a token file that is not used is a warning', async (test) => {
    const { config, warnings } = await resolve(test, { flags: { auth: 'off', authTokenFile: '/t' } });
    assert.deepEqual(config.auth, { mode: 'off' });
    assert.match(warnings.join(), /security\.token_file is not used/);
  });
});

describe('with authentication', () => {
  it('a token file is reason enough to ask for tokens and to listen everywhere, but not to show the page', async (test) => {
    const resolved = await resolve(test, { flags: { authTokenFile: '/tokens' } });
    assert.deepEqual(resolved.config.auth, { mode: 'token-file', file: '/tokens' });
    assert.equal(resolved.config.listen.host, '0.0.0.0');
    assert.equal(resolved.config.http?.page, false);
    assert.match(resolved.warnings.join(), /bearer tokens travel to 0\.0\.0\.0 in clear text/);
  });

  it('the page is shown where only this machine sees it, or somebody asks for it', async (test) => {
    const here = await resolve(test, { flags: { authTokenFile: '/tokens', httpHost: '127.0.0.1' } });
    assert.equal(here.config.http?.page, true);
    const asked = await resolve(test, { flags: { authTokenFile: '/tokens', page: 'on' } });
    assert.equal(asked.config.http?.page, true);
  });

  it('mutual TLS is authentication too', async (test) => {
    const { config, warnings } = await resolve(test, { flags: { tlsCert: '/c', tlsKey: '/k', tlsClientCa: '/ca' } });
    assert.equal(config.listen.host, '0.0.0.0');
    assert.deepEqual(config.tls, { certFile: '/c', keyFile: '/k', clientCaFile: '/ca' });
    assert.deepEqual(warnings, []);
  });
});

describe('the address of Redis', () => {
  const kind = { MX_METADATA_BACKEND: 'REDIS' };

  it("comes from one variable or from two, ModelExpress' own before the common ones", async (test) => {
    const urlOf = async (env: Record<string, string>): Promise<unknown> => {
      const { config } = await resolve(test, { env: { ...kind, ...env } });
      return config.store.kind === 'redis' ? config.store.url : config.store.kind;
    };
    assert.equal(await urlOf({ REDIS_URL: 'redis://a:1', MX_REDIS_HOST: 'b', MX_REDIS_PORT: '2' }), 'redis://a:1');
    assert.equal(await urlOf({ MX_REDIS_HOST: 'b', MX_REDIS_PORT: '2', REDIS_HOST: 'c', REDIS_PORT: '3' }), 'redis://b:2');
    assert.equal(await urlOf({ REDIS_HOST: 'c', REDIS_PORT: '3' }), 'redis://c:3');
    assert.equal(await urlOf({ MX_REDIS_HOST: 'b', REDIS_PORT: '3' }), 'redis://b:3');
  });

  it('in the environment goes before one in a file', async (test) => {
    const yaml = 'store: { kind: redis, redis_url: "redis://file:1" }';
    const resolved = await resolve(test, { env: { REDIS_HOST: 'env', REDIS_PORT: '2' }, yaml });
    const { value, where } = valueOf(resolved, 'store.redis_url');
    assert.deepEqual([value, where], ['redis://env:2', 'REDIS_HOST and REDIS_PORT']);
  });

  it('needs a port, and the message says which variable', async (test) => {
    await assert.rejects(
      resolve(test, { env: { ...kind, MX_REDIS_HOST: 'b' } }),
      /MX_REDIS_HOST without MX_REDIS_PORT or REDIS_PORT: expected/,
    );
  });

  it('is not looked at without Redis: Kubernetes sets such variables for any service called redis', async (test) => {
    const { config } = await resolve(test, { env: { REDIS_URL: 'nonsense', REDIS_HOST: 'x', REDIS_PORT: 'tcp://10.0.0.1:6379' } });
    assert.deepEqual(config.store, { kind: 'memory' });
  });
});

describe('ports and limits', () => {
  it('0 switches metrics and HTTP off, any takes a free port', async (test) => {
    const off = await resolve(test, { flags: { metricsPort: '0', httpPort: '0' } });
    assert.deepEqual([off.config.metrics, off.config.http], [undefined, undefined]);
    const free = await resolve(test, { flags: { metricsPort: 'any', httpPort: 'ANY', port: 'any' } });
    assert.deepEqual([free.config.metrics?.port, free.config.http?.port, free.config.listen.port], [0, 0, 0]);
    assert.equal(free.config.http?.required, true);
  });

  it('limits are those of the endpoint unless something else is said', async (test) => {
    assert.deepEqual((await resolve(test, {})).config.limits, defaultLimits);
    const { config } = await resolve(test, { flags: { maxRequestsPerSecond: '10', maxMessageBytes: '1MiB' } });
    assert.equal(config.limits.callRatePerClient, 10);
    assert.equal(config.limits.callBurstPerClient, 20);
    assert.equal(config.limits.messageBytes, 1024 * 1024);
    const unlimited = await resolve(test, { flags: { maxRequestsPerSecond: '0' } });
    assert.equal(unlimited.config.limits.callRatePerClient, 0);
  });
});

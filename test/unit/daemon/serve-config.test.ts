/** `weightcast serve --print-config` and `--validate-config`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settingKeys } from '#src/daemon/config/settings.js';
import { memoryIo, runHere } from '../cli/memory-io.js';
import { configFile } from './support.js';

describe('--print-config', () => {
  it('prints every setting, its value and its source', async (test) => {
    const file = await configFile(test, 'store:\n  kind: redis\nserver:\n  port: 9001\n');
    const env = { REDIS_URL: 'redis://user:hunter2@cache:6379/3', MX_GC_TIMEOUT_SECS: '60' };
    const { code, stdout, stderr } = await runHere(['serve', '--print-config', '--config', file, '--host', '0.0.0.0'], memoryIo({ env }));
    assert.equal(code, 0);
    const rows = new Map(stdout.split('\n').map((line) => [line.split(' ', 1)[0], line.split(/ {2,}/).slice(1)]));
    for (const key of settingKeys) assert.ok(rows.has(key), key);
    assert.deepEqual(rows.get('server.host'), ['0.0.0.0', 'flag: --host']);
    assert.deepEqual(rows.get('server.port'), ['9001', `file: ${file}:4`]);
    assert.deepEqual(rows.get('store.redis_url'), ['redis://***@cache:6379/3', 'environment: REDIS_URL']);
    assert.deepEqual(rows.get('workers.gc_timeout_secs'), ['60', 'environment: MX_GC_TIMEOUT_SECS']);
    assert.deepEqual(rows.get('workers.heartbeat_timeout_secs'), ['90', 'default']);
    assert.deepEqual(rows.get('http.host'), ['0.0.0.0', 'default: as server.host']);
    assert.match(stderr, /^warning: everybody who reaches 0\.0\.0\.0/);
    assert.ok(!(stdout + stderr).includes('hunter2'));
  });

  it('prints the same as one JSON object', async () => {
    const env = { MX_METADATA_BACKEND: 'redis', REDIS_URL: 'redis://:hunter2@cache:6379' };
    const argv = ['serve', '--print-config', '--json', '--auth-token-file', '/t', '--page', 'off'];
    const { code, stdout } = await runHere(argv, memoryIo({ env }));
    assert.equal(code, 0);
    assert.ok(!stdout.includes('hunter2'));
    const printed = JSON.parse(stdout) as {
      file: null;
      warnings: string[];
      values: { key: string; value: unknown; origin: string; where: string }[];
    };
    assert.deepEqual(
      printed.values.map(({ key }) => key),
      settingKeys,
    );
    const valueOf = (key: string): unknown => printed.values.find((value) => value.key === key);
    assert.deepEqual(valueOf('store.redis_url'), {
      key: 'store.redis_url',
      value: 'redis://***@cache:6379',
      origin: 'environment',
      where: 'REDIS_URL',
    });
    assert.deepEqual(valueOf('http.page'), { key: 'http.page', value: false, origin: 'flag', where: '--page' });
    assert.deepEqual(valueOf('store.path'), { key: 'store.path', value: null, origin: 'default', where: '' });
    assert.deepEqual(valueOf('logging.format'), { key: 'logging.format', value: 'json', origin: 'flag', where: '--json' });
    assert.equal(printed.file, null);
  });
});

describe('--validate-config', () => {
  it('is exit code 0 for a good one', async (test) => {
    const file = await configFile(test, 'server: { port: 9001 }');
    const { code, stdout } = await runHere(['serve', '--validate-config', '--config', file]);
    assert.deepEqual([code, stdout], [0, `the configuration is good (${file})\n`]);
    const json = await runHere(['serve', '--validate-config', '--config', file, '--json']);
    assert.deepEqual(JSON.parse(json.stdout), { valid: true, file, warnings: [] });
  });

  it('is exit code 2 and a line for each problem of a bad one', async (test) => {
    const file = await configFile(test, 'server:\n  port: x\n  hots: y\n');
    const { code, stdout, stderr } = await runHere(['serve', '--validate-config', '--config', file]);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(
      stderr,
      /^weightcast serve: ERR_CONFIG: .*config\.yaml:3: unknown setting server\.hots; did you mean server\.host\?\n {2}.*config\.yaml:2: expected a port/,
    );
  });

  it('and a bad command line are told apart', async () => {
    const usage = await runHere(['serve', '--validate-config', '--port', 'x']);
    assert.equal(usage.code, 2);
    assert.match(usage.stderr, /ERR_INVALID_ARGUMENT: --port: expected a port/);
    const both = await runHere(['serve', '--listen', '127.0.0.1:0', '--port', '1']);
    assert.match(both.stderr, /cannot be used with option/);
    const empty = await runHere(['serve', '--host', '']);
    assert.match(empty.stderr, /a value for --host, which is not empty/);
  });
});

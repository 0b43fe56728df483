import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '#src/daemon/config/file.js';
import { configFile, resolve, valueOf } from './support.js';
import { resolveConfig } from '#src/daemon/config/resolve.js';

/** Files that are wrong, and what is said of them. */
const bad: readonly (readonly [what: string, yaml: string, says: readonly string[]])[] = [
  ['an unknown setting', 'server:\n  prot: 1\n', ['c.yaml:2: unknown setting server.prot; did you mean server.port?']],
  ['an unknown section', 'sever:\n  port: 1\n', ['c.yaml:1: unknown setting sever; did you mean server?']],
  ['a setting without its section', 'port: 1\n', ['c.yaml:1: unknown setting port']],
  ['a dotted name', 'server.port: 1\n', ['c.yaml:1: write server.port as a section and a name under it']],
  ['something unlike anything', 'zzzzzzzz:\n  a: 1\n', ['c.yaml:1: unknown setting zzzzzzzz']],
  ['a section that is a value', 'server: 8001\n', ['c.yaml:1: expected settings under server, each on a line of its own']],
  ['a list at the top', '- a\n', ['c.yaml:1: expected sections (server, http, store']],
  ['YAML that is none', 'server: {port: 1\n', ['c.yaml:2: ']],
  ['a key twice', 'server:\n  port: 1\n  port: 2\n', ['c.yaml:3: Map keys must be unique']],
  ['several at once', 'server:\n  a: 1\nhttp:\n  b: 2\n', ['c.yaml:2: unknown setting server.a', 'c.yaml:4: unknown setting http.b']],
];

describe('a configuration file with', () => {
  for (const [what, yaml, says] of bad) {
    it(`${what} is refused with its line`, () => {
      const { problems } = parseConfig('c.yaml', yaml);
      assert.equal(problems.length, says.length, problems.join('\n'));
      for (const [index, text] of says.entries()) assert.ok(problems[index]?.startsWith(text), problems[index]);
    });
  }

  it('aliases takes what they stand for', () => {
    const { values, problems } = parseConfig('c.yaml', 'server:\n  host: &here 10.0.0.1\n  metrics_host: *here\n');
    assert.deepEqual(problems, []);
    assert.deepEqual(
      values.map(({ raw }) => raw),
      ['10.0.0.1', '10.0.0.1'],
    );
  });

  it('aliases that explode is refused', () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const below = level === 0 ? 'x' : `*l${String(level - 1)}`;
      return `&l${String(level)} [${Array.from({ length: 9 }, () => below).join(', ')}]`;
    });
    const yaml = `security:\n  token_audiences: [${levels.join(', ')}]\n`;
    const { problems } = parseConfig('c.yaml', yaml);
    assert.match(problems.join(), /c\.yaml:2: security\.token_audiences: Excessive alias count/);
  });

  it('nothing in it, or in a section, is a good one', () => {
    for (const yaml of ['', '# nothing\n', 'server:\nhttp:\n', '---\n']) {
      assert.deepEqual(parseConfig('c.yaml', yaml), { path: 'c.yaml', values: [], problems: [], warnings: [] });
    }
  });
});

describe('a file of ModelExpress', () => {
  const yaml = `
server: { host: 10.0.0.5, port: 9001, metrics_port: 9402 }
cache: { directory: /cache, max_size_bytes: 1 }
logging: { level: trace, format: compact, file: /var/log/x, structured: true }
security:
  mode: enforce
  token_audiences: [modelexpress, other]
  allowed_service_accounts:
    - { namespace: models, service_account: loader }
    - { namespace: models, service_account: trainer }
  cache_ttl_secs: 30
`;

  it('means the same here; what has no meaning is a warning', async (test) => {
    const { config, warnings } = await resolve(test, { yaml });
    assert.deepEqual(config.listen, { host: '10.0.0.5', port: 9001 });
    assert.equal(config.metrics?.port, 9402);
    assert.deepEqual(config.log, { level: 'debug', json: false });
    assert.deepEqual(config.auth, {
      mode: 'kubernetes',
      audiences: ['modelexpress', 'other'],
      serviceAccounts: ['models:loader', 'models:trainer'],
      cacheTtlMs: 30_000,
    });
    for (const name of ['cache', 'logging.file', 'logging.structured']) {
      assert.ok(
        warnings.some((warning) => warning.includes(`: ${name} has no meaning here`)),
        name,
      );
    }
  });
});

describe('which file', () => {
  it('--config goes before WEIGHTCAST_CONFIG', async (test) => {
    const one = await configFile(test, 'server: { port: 1 }');
    const two = await configFile(test, 'server: { port: 2 }');
    const env = { WEIGHTCAST_CONFIG: two };
    assert.equal((await resolveConfig({ flags: [], env })).config.listen.port, 2);
    const { config, file } = await resolveConfig({ flags: [], env, file: one });
    assert.deepEqual([config.listen.port, file], [1, one]);
  });

  it('a named file must be there', async () => {
    const missing = resolveConfig({ flags: [], env: {}, file: '/nowhere/weightcast.yaml' });
    await assert.rejects(missing, { code: 'ERR_CONFIG', message: /configuration file \/nowhere\/weightcast\.yaml: there is no such file/ });
    await assert.rejects(resolveConfig({ flags: [], env: {}, file: '/' }), { code: 'ERR_CONFIG', message: /EISDIR/ });
  });

  it('a null value is not given', async (test) => {
    await assert.rejects(resolve(test, { yaml: 'server:\n  port:\n' }), /expected a port .* for server\.port but received nothing/);
  });

  it('says where its values came from', async (test) => {
    const config = await resolve(test, { yaml: '\n\nserver:\n  port: 77\n' });
    assert.match(valueOf(config, 'server.port').where, /config\.yaml:4$/);
  });
});

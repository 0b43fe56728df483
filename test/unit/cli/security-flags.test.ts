import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { addSecurityOptions, type SecurityFlags, securityOf } from '#src/cli/options.js';
import { memoryIo, runHere } from './memory-io.js';

/** What a pod of ModelExpress has, and a test machine not. */
const mounted = existsSync('/var/run/secrets/tokens/modelexpress') ? { tokenFile: '/var/run/secrets/tokens/modelexpress' } : {};

function securityFor(argv: string, env: Record<string, string> = {}) {
  const warnings: unknown[] = [];
  const nothing = (): void => undefined;
  const logger = { debug: nothing, info: nothing, error: nothing, warn: (_message: string, fields?: object) => void warnings.push(fields) };
  const command = addSecurityOptions(new Command());
  command.parse(argv === '' ? [] : argv.split(' '), { from: 'user' });
  return { security: securityOf(command.opts<SecurityFlags>(), env, logger), warnings };
}

describe('the security flags', () => {
  it('are absent by default, and files of the environment are used', () => {
    assert.deepEqual(securityFor('').security, mounted);
    const env = { MODEL_EXPRESS_TLS_CA_FILE: '/ca', MX_AUTH_TOKEN_PATH: '/token', MX_AUTH_TOKEN_TTL_SECONDS: '1.5' };
    assert.deepEqual(securityFor('', env).security, {
      tls: { caFile: '/ca', certFile: undefined, keyFile: undefined, serverName: undefined },
      tokenFile: '/token',
      tokenTtlMs: 1500,
    });
    assert.deepEqual(securityFor('', { MODEL_EXPRESS_TLS_CA_FILE: '', MX_AUTH_TOKEN_PATH: '' }).security, mounted);
  });

  it('come before the environment', () => {
    const env = { MODEL_EXPRESS_TLS_CA_FILE: '/ca', MX_AUTH_TOKEN_PATH: '/token' };
    const argv = '--tls-ca a --tls-cert c --tls-key k --tls-server-name n --token-file t';
    assert.deepEqual(securityFor(argv, env).security, {
      tls: { caFile: 'a', certFile: 'c', keyFile: 'k', serverName: 'n' },
      tokenFile: 't',
    });
  });

  it('warn of a time to live that is none, and take the default', () => {
    for (const text of ['soon', '-1', 'NaN', 'Infinity', ' ', '1s']) {
      const { security, warnings } = securityFor('--token-file t', { MX_AUTH_TOKEN_TTL_SECONDS: text });
      assert.deepEqual(security, { tokenFile: 't' });
      assert.deepEqual(warnings, [{ value: text }]);
    }
    assert.equal(securityFor('', { MX_AUTH_TOKEN_TTL_SECONDS: '0' }).security.tokenTtlMs, 0);
  });

  it('are said to be wrong before the server is called', async (test) => {
    const dir = mkdtempSync(join(tmpdir(), 'weightcast-flags-'));
    test.after(() => {
      rmSync(dir, { recursive: true, force: true });
    });
    const file = join(dir, 'ca.pem');
    writeFileSync(file, 'hello');
    const ran = await runHere(['sources', '--server', 'https://127.0.0.1:1', '--tls-ca', file, '--json'], memoryIo());
    assert.equal(ran.code, 4);
    assert.deepEqual(JSON.parse(ran.stdout), {
      error: { code: 'ERR_TLS', message: `the certificate file ${file} holds no PEM block "CERTIFICATE"`, file },
    });
  });
});

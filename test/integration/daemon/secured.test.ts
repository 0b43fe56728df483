/** A server with certificates and tokens, set up by its flags and asked by our own commands. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Authority } from '../../support/certificates.js';
import { runCli } from '../../support/cli.js';
import { temporaryFolder } from '../../support/cluster.js';
import { errorOf, Role } from '../../support/roles.js';

const folder = await temporaryFolder();

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

const noPorts = ['--metrics-port', '0', '--http-port', '0'];

describe('weightcast serve', () => {
  it('with TLS and a token file lets in who has both; probes need no token', async () => {
    const authority = new Authority('test');
    const { cert, key } = authority.issue({ commonName: 'server', names: ['127.0.0.1'] });
    const tls = ['--tls-cert', await file('tls.crt', cert), '--tls-key', await file('tls.key', key)];
    const tokens = await file('tokens', 'a-token-of-enough-length loader\n');
    const role = new Role(['serve', '--listen', '127.0.0.1:0', ...noPorts, ...tls, '--auth-token-file', tokens]);
    const { address } = (await role.next()) as { address: string };
    const trust = ['--server', address, '--tls-ca', await file('ca.crt', authority.cert), '--json'];

    assert.equal((await runCli(['health', ...trust])).code, 0);
    const stranger = await runCli(['sources', ...trust], { env: { MX_AUTH_TOKEN_PATH: undefined } });
    assert.deepEqual([stranger.code, (stranger.json[0]?.['error'] as { code: string }).code], [4, 'ERR_UNAUTHENTICATED']);
    const friend = await runCli(['sources', ...trust, '--token-file', await file('token', 'a-token-of-enough-length\n')]);
    assert.deepEqual([friend.code, friend.json[0]?.['sources']], [0, []]);
    const clear = await runCli(['health', '--server', address]);
    assert.equal(clear.code, 4);
    assert.equal((await role.stop()).code, 143);
  });

  it('does not start with certificates or tokens that cannot be used, and says which file', async () => {
    const missing = join(folder, 'missing');
    const tls = new Role(['serve', '--listen', '127.0.0.1:0', ...noPorts, '--tls-cert', missing, '--tls-key', missing]);
    const noCertificate = errorOf(await tls.ended, 4);
    assert.equal(noCertificate.code, 'ERR_TLS');
    assert.ok(noCertificate.message.includes(missing), noCertificate.message);
    const auth = new Role(['serve', '--listen', '127.0.0.1:0', ...noPorts, '--auth-token-file', await file('empty', '\n')]);
    const noToken = errorOf(await auth.ended, 2);
    assert.equal(noToken.code, 'ERR_CONFIG');
    assert.match(noToken.message, /there is no token in it/);
  });
});

/** What concerns the process that uses the store: what it trusts, what is installed, and that it can end. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Authority } from '../../support/certificates.js';
import { noRedis, TestRedis } from '../../support/redis.js';

const program = fileURLToPath(new URL('open-once.js', import.meta.url));

/** What the program says; fails when it does not end by itself. */
async function openOnce(
  url: string,
  options: { readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const env = { ...process.env, ...options.env };
  const { stdout } = await promisify(execFile)(process.execPath, [...(options.args ?? []), program, url], { env, timeout: 60_000 });
  return stdout.trim();
}

const javascript = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`;

/** A module loader for which the package does not exist. */
const withoutClient = javascript(
  `export async function resolve(name, context, next) {
     if (name === '@redis/client') throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
     return next(name, context);
   }`,
);

describe('a process that uses Redis', () => {
  it('is told what to install when the client is missing', async () => {
    const register = javascript(`import { register } from 'node:module'; register(${JSON.stringify(withoutClient)});`);
    const said = await openOnce('redis://127.0.0.1:1', { args: ['--import', register] });
    assert.match(said, /^ERR_STORE: .*@redis\/client.*npm install/);
  });

  it('trusts what Node trusts when it speaks TLS', { skip: noRedis }, async (test) => {
    const authority = new Authority('the authority of Redis');
    const folder = await mkdtemp(join(tmpdir(), 'weightcast-redis-ca-'));
    test.after(() => rm(folder, { recursive: true, force: true }));
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, authority.cert);
    const pem = authority.issue({ commonName: 'redis', names: ['127.0.0.1'] });
    const redis = await TestRedis.start({ tls: { ...pem, ca: authority.cert }, password: 'secret' });
    test.after(() => redis.close());
    assert.match(redis.url, /^rediss:/);
    assert.equal(await openOnce(redis.url, { env: { NODE_EXTRA_CA_CERTS: ca } }), 'usable');
    const distrusted = await openOnce(redis.url);
    assert.match(distrusted, /^ERR_STORE: cannot connect to Redis at rediss:\/\/\*\*\*@127\.0\.0\.1:\d+: .*certificate/);
  });
});

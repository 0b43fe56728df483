import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ClientTls } from '#src/security/client-tls.js';
import type { ClientTlsFiles } from '#src/security/tls-files.js';
import { Authority } from '../../support/certificates.js';

const authority = new Authority('Test Authority');
const own = authority.issue({ commonName: 'client' });
const other = authority.issue({ commonName: 'other' });

function folder(test: TestContext): (name: string, text: string) => string {
  const dir = mkdtempSync(join(tmpdir(), 'weightcast-tls-'));
  test.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return (name, text) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
}

const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

describe('the TLS files of a client', () => {
  type Write = (name: string, text: string) => string;
  const bad: [string, (write: Write) => ClientTlsFiles, RegExp][] = [
    [
      'an authority that is missing',
      () => ({ caFile: '/no/such/ca.pem' }),
      /cannot read the certificate file \/no\/such\/ca\.pem: there is no such file/,
    ],
    ['an authority that is no PEM', (write) => ({ caFile: write('ca', 'hello') }), /ca holds no PEM block "CERTIFICATE"/],
    ['an authority that is damaged', (write) => ({ caFile: write('ca', garbage) }), /ca holds a certificate that cannot be read/],
    [
      'authorities of which the second is damaged',
      (write) => ({ caFile: write('ca', authority.cert + garbage) }),
      /ca holds a certificate that cannot be read/,
    ],
    ['a certificate without a key', (write) => ({ certFile: write('c', own.cert) }), /belong together, but only \S+c is given/],
    ['a key without a certificate', (write) => ({ keyFile: write('k', own.key) }), /belong together, but only \S+k is given/],
    [
      'a key of another certificate',
      (write) => ({ certFile: write('c', own.cert), keyFile: write('k', other.key) }),
      /k does not belong to the first certificate in \S+c/,
    ],
    [
      'a certificate in place of the key',
      (write) => ({ certFile: write('c', own.cert), keyFile: write('k', own.cert) }),
      /k holds no PEM block "PRIVATE KEY"/,
    ],
    [
      'a key that is damaged',
      (write) => ({ certFile: write('c', own.cert), keyFile: write('k', own.key.slice(0, 60) + own.key.slice(80)) }),
      /the private key in \S+k cannot be used/,
    ],
  ];
  for (const [what, files, message] of bad) {
    it(`are refused with the file and the reason: ${what}`, (test) => {
      const given = files(folder(test));
      assert.throws(() => new ClientTls(given, 'host'), { name: 'WeightcastError', code: 'ERR_TLS', message });
    });
  }

  it('are read again when they have changed, at most every 5 s', (test) => {
    const write = folder(test);
    const files = { caFile: write('ca', authority.cert), certFile: write('c', own.cert), keyFile: write('k', own.key) };
    const clock = { now: 0 };
    const tls = new ClientTls(files, 'host', () => clock.now);
    const first = tls.credentials;
    clock.now = 5000;
    assert.equal(tls.credentials, first);
    write('c', other.cert);
    clock.now = 9999;
    assert.equal(tls.credentials, first);
    // The key is still the old one: not yet of use.
    clock.now = 10_000;
    assert.equal(tls.credentials, first);
    write('k', other.key);
    assert.equal(tls.credentials, first);
    clock.now = 15_000;
    const second = tls.credentials;
    assert.notEqual(second, first);
    clock.now = 20_000;
    assert.equal(tls.credentials, second);
    rmSync(files.caFile);
    clock.now = 25_000;
    assert.equal(tls.credentials, second);
  });

  it('are read again at once when there is doubt', (test) => {
    const write = folder(test);
    const tls = new ClientTls({ caFile: write('ca', authority.cert) }, 'host', () => 0);
    const first = tls.credentials;
    write('ca', new Authority('Other').cert);
    assert.equal(tls.credentials, first);
    tls.doubt();
    assert.notEqual(tls.credentials, first);
  });

  it('say which name is expected, and never send an address as a name', () => {
    const sent = (tls: ClientTls): unknown => tls.channelOptions['grpc.ssl_target_name_override'];
    const byName = new ClientTls({}, 'mx.example');
    assert.deepEqual([byName.expectedName, sent(byName)], ['mx.example', 'mx.example']);
    for (const host of ['10.0.0.1', 'fd00::1']) {
      const byAddress = new ClientTls({}, host);
      assert.deepEqual([byAddress.expectedName, sent(byAddress)], [host, 'by-address.invalid']);
    }
    const given = new ClientTls({ serverName: 'mx.example' }, '10.0.0.1');
    assert.deepEqual([given.expectedName, sent(given)], ['mx.example', 'mx.example']);
    assert.equal(given.channelOptions['grpc.default_authority'], 'mx.example');
  });
});

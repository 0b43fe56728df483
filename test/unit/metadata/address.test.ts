import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MetadataClient } from '#src/metadata/client.js';
import { formatAddress, parseAddress, parseTarget } from '#src/rpc/address.js';

describe('addresses', () => {
  const good: [string, string][] = [
    ['10.0.0.1:9000', '10.0.0.1:9000'],
    ['host', 'host:8001'],
    ['http://host:1/', 'host:1'],
    ['HTTP://host', 'host:8001'],
    ['[::1]:5', '[::1]:5'],
    ['[fe80::1%eth0]', '[fe80::1%eth0]:8001'],
    ['mx-server.ns.svc:8001', 'mx-server.ns.svc:8001'],
    ['host:0', 'host:0'],
  ];
  for (const [text, expected] of good) {
    it(`takes ${text}`, () => {
      assert.equal(formatAddress(parseAddress(text, 8001)), expected);
    });
  }

  for (const text of ['', ':8001', 'host:', 'host:port', 'host:65536', '::1', 'a b:1', 'host:1/path', 'ftp://host:1', 'https://host:1']) {
    it(`refuses '${text}'`, () => {
      assert.throws(() => parseAddress(text, 8001), { name: 'WeightcastError', code: 'ERR_INVALID_ARGUMENT' });
    });
  }

  it('to call say whether TLS is to be spoken', () => {
    assert.deepEqual(parseTarget('https://mx.example', 8001), { host: 'mx.example', port: 8001, tls: true });
    assert.deepEqual(parseTarget('HTTPS://[::1]:443/', 8001), { host: '::1', port: 443, tls: true });
    assert.deepEqual(parseTarget('http://mx.example:1', 8001), { host: 'mx.example', port: 1, tls: false });
    assert.deepEqual(parseTarget('mx.example', 8001), { host: 'mx.example', port: 8001, tls: false });
    for (const text of ['https://', 'https://http://a:1', 'https://https://a:1', 'https://a:1/x', 'https:a:1', 'https://a b']) {
      assert.throws(() => parseTarget(text, 8001), { name: 'WeightcastError', code: 'ERR_INVALID_ARGUMENT' }, text);
    }
  });

  it('are named by the client as it uses them', () => {
    const client = new MetadataClient('http://127.0.0.1');
    assert.equal(client.server, '127.0.0.1:8001');
    client.close();
    const secure = new MetadataClient('https://mx.example');
    assert.equal(secure.server, 'mx.example:8001');
    secure.close();
  });
});

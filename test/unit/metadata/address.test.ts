import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MetadataClient } from '#src/metadata/client.js';
import { formatAddress, parseAddress } from '#src/rpc/address.js';

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

  it('are named by the client as it uses them', () => {
    const client = new MetadataClient('http://127.0.0.1');
    assert.equal(client.server, '127.0.0.1:8001');
    client.close();
    assert.throws(() => new MetadataClient('https://server:8001'), { code: 'ERR_INVALID_ARGUMENT', message: /TLS is not supported/ });
  });
});

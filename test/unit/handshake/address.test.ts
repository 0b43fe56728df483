import assert from 'node:assert/strict';
import { isIPv4 } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { defaultHost, defaultPort, formatAddress, parseAddress } from '#src/handshake/address.js';

describe('handshake addresses', () => {
  const forms: [string, string, number][] = [
    ['10.0.0.5:15428', '10.0.0.5', 15428],
    ['node-7.cluster:15428', 'node-7.cluster', 15428],
    ['[2001:db8::1]:15428', '2001:db8::1', 15428],
    ['[2001:db8::1]', '2001:db8::1', defaultPort],
    ['2001:db8::1', '2001:db8::1', defaultPort],
    ['::1', '::1', defaultPort],
    ['fe80::1%eth0:15428', 'fe80::1%eth0', 15428],
    ['[fe80::1%eth0]:15428', 'fe80::1%eth0', 15428],
    ['fe80::1%eth0', 'fe80::1%eth0', defaultPort],
    ['10.0.0.5', '10.0.0.5', 12001],
    ['/10.0.0.5:15428', '10.0.0.5', 15428],
  ];
  for (const [text, host, port] of forms) {
    it(`reads ${text}`, () => {
      assert.deepEqual(parseAddress(text), { host, port });
    });
  }

  for (const text of [
    '',
    ':15428',
    '10.0.0.5:',
    '10.0.0.5:0',
    '10.0.0.5:65536',
    '10.0.0.5:x',
    '10.0.0.5:-1',
    '[::1]:',
    '[]:15428',
    '[::1]x:1',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseAddress(text), { code: 'ERR_INVALID_ARGUMENT' });
    });
  }

  it('come back as they were written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.integer({ min: 1, max: 65535 }), (host, port) => {
        assert.deepEqual(parseAddress(formatAddress(host, port)), { host, port });
      }),
    );
  });

  it('have brackets around IPv6 once', () => {
    assert.equal(formatAddress('::1', 5), '[::1]:5');
    assert.equal(formatAddress('[::1]', 5), '[::1]:5');
  });
});

describe('defaultHost', () => {
  it('is what the environment says', async () => {
    assert.equal(await defaultHost({ WEIGHTCAST_HOST: 'node-7' }), 'node-7');
  });

  it('is an IPv4 address of this host otherwise', async () => {
    const host = await defaultHost({});
    assert.ok(isIPv4(host) && host !== '0.0.0.0', host);
    assert.equal(await defaultHost({ WEIGHTCAST_HOST: '' }), host);
  });
});

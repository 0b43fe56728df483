import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { offerOptionsOf } from '#src/cli/seed-options.js';

describe('flags of an offer', () => {
  it('become options of the library; absent ones stay absent', () => {
    assert.deepEqual(offerOptionsOf({}), {});
    const flags = { manifest: 'worker', accelerator: 'cuda', workerPort: 0, publishTimeout: 5000, drain: 0, zeroCopy: 'never' } as const;
    const { publishTimeout: publishTimeoutMs, drain: drainTimeoutMs, ...same } = flags;
    assert.deepEqual(offerOptionsOf(flags), { ...same, publishTimeoutMs, drainTimeoutMs });
    assert.deepEqual(offerOptionsOf({ workerTlsCert: 'c', workerTlsKey: 'k' }), {
      workerTls: { certFile: 'c', keyFile: 'k', clientCaFile: undefined },
    });
  });

  it('of TLS that say half of it are refused', () => {
    const refused = { name: 'UsageError', message: /belong together|needs --worker-tls-cert/ };
    assert.throws(() => offerOptionsOf({ workerTlsCert: 'c' }), refused);
    assert.throws(() => offerOptionsOf({ workerTlsKey: 'k' }), refused);
    assert.throws(() => offerOptionsOf({ workerTlsClientCa: 'a' }), refused);
  });
});

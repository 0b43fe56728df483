import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sglangOf } from '#src/cli/sglang-options.js';

describe('flags for SGLang', () => {
  it('become options of the library; absent ones stay absent', () => {
    assert.equal(sglangOf({}), undefined);
    assert.deepEqual(sglangOf({ sglangPort: 0 }), { port: 0 });
    assert.deepEqual(sglangOf({ sglangRegister: 'http://h:1' }), { register: 'http://h:1' });
    assert.deepEqual(sglangOf({ sglangPort: 30_000, sglangHost: '10.0.0.1', sglangRegistrants: 'any', sglangRegister: 'http://h:1' }), {
      port: 30_000,
      host: '10.0.0.1',
      registrants: 'any',
      register: 'http://h:1',
    });
  });

  it('of a port that is not there are refused', () => {
    const refused = { name: 'UsageError', message: /need --sglang-port/ };
    assert.throws(() => sglangOf({ sglangHost: '10.0.0.1', sglangRegister: 'http://h:1' }), refused);
    assert.throws(() => sglangOf({ sglangRegistrants: 'none' }), refused);
  });
});

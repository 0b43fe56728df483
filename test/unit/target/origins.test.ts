/** Options of a pull that cannot be meant, refused before anybody is asked for anything. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkOptions } from '#src/target/check-options.js';
import type { PullOptions } from '#src/target/index.js';
import { kindOf } from '#src/target/origins.js';

const into = { kind: 'discard' } as const;
const identity = { modelName: 'm' };
const registry = { server: '127.0.0.1:1', identity };
const sglang = { sglang: 'http://127.0.0.1:1' };
const tensor = { name: 'w', address: 4096n, bytes: 8n };
const session = { session: { id: '127.0.0.1:1', tensors: [tensor] } };

function refused(options: object, message: RegExp): void {
  assert.throws(() => checkOptions({ into, ...options } as PullOptions), { code: 'ERR_INVALID_ARGUMENT', message });
}

describe('the origin of a pull', () => {
  it('is what is given, whatever is there as undefined', () => {
    assert.equal(kindOf({ ...registry, sglang: undefined, session: undefined }), 'server');
    assert.equal(kindOf({ ...sglang, server: undefined, selector: undefined }), 'sglang');
    assert.equal(kindOf({ ...session, rank: undefined }), 'session');
    for (const options of [registry, { ...sglang, rank: 3, waitMs: 10, security: {} }, session]) {
      checkOptions({ into, ...options });
    }
  });

  it('is exactly one', () => {
    refused({}, /exactly one of server, sglang and session but received none of them$/);
    refused({ ...registry, ...sglang }, /but received server and sglang$/);
    refused({ ...registry, ...sglang, ...session }, /but received server and sglang and session$/);
    refused({ server: '127.0.0.1:1' }, /expected identity with server/);
  });

  it('has its own options, and those of another are named', () => {
    refused({ ...sglang, identity, selector: 'random', maxSources: 2 }, /identity, selector, maxSources cannot be given with sglang$/);
    refused(
      { ...sglang, accelerator: 'cuda', workerId: 'w', reportTransfers: false, loadWeight: 1 },
      /loadWeight, workerId, accelerator, reportTransfers cannot/,
    );
    refused({ ...session, rank: 0, waitMs: 0, security: {} }, /security, rank, waitMs cannot be given with session$/);
  });

  it('is a session whose tensors can be true', () => {
    const of = (...tensors: object[]): object => ({ session: { id: 'h:1', tensors } });
    refused({ session: { id: '', tensors: [tensor] } }, /Expected host:port/);
    refused(of(), /at least one tensor of session h:1/);
    refused(of(tensor, tensor), /"w" of session h:1 is named twice/);
    refused(of({ ...tensor, name: '' }), /has no name/);
    refused(of({ ...tensor, address: -1n }), /outside of the address space/);
    refused(of({ ...tensor, address: 2n ** 64n - 1n }), /outside of the address space/);
    refused(of({ ...tensor, dtype: 'float7' }), /unknown dtype "float7"/);
    refused(of({ ...tensor, dtype: 'F32', shape: [3] }), /has 8 bytes, but F32 and its shape make 12/);
    checkOptions({ into, ...of({ ...tensor, dtype: 'torch.float32', shape: [2] }) } as PullOptions);
  });
});

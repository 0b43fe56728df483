import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { errorCodes, exitCodeOf, exitCodeOfSignal } from '#src/cli/exit-codes.js';

function page(name: string): string {
  return readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');
}

describe('exit codes', () => {
  it('follow the documented classes', () => {
    const expected: Record<number, readonly string[]> = {
      1: ['ERR_CLOSED', 'ERR_INTERNAL'],
      2: ['ERR_CONFIG', 'ERR_INVALID_ARGUMENT'],
      3: ['ERR_NOT_FOUND', 'ERR_NO_SOURCE', 'ERR_RANK_NOT_FOUND', 'ERR_SOURCE_GONE'],
      4: [
        'ERR_OVERLOADED',
        'ERR_PERMISSION_DENIED',
        'ERR_PUBLISH_REFUSED',
        'ERR_SERVER',
        'ERR_SERVER_UNREACHABLE',
        'ERR_STORE',
        'ERR_TLS',
        'ERR_UNAUTHENTICATED',
      ],
      5: ['ERR_CHECKSUM_MISMATCH', 'ERR_MODEL_INVALID', 'ERR_TENSOR_DTYPE', 'ERR_TENSOR_MISSING', 'ERR_TENSOR_SHAPE', 'ERR_TENSOR_SIZE'],
      6: [
        'ERR_ACCELERATOR_UNAVAILABLE',
        'ERR_DEVICE_NOT_FOUND',
        'ERR_NATIVE_UNAVAILABLE',
        'ERR_RDMA_UNAVAILABLE',
        'ERR_TRANSPORT_UNAVAILABLE',
      ],
      7: ['ERR_DISK_FULL', 'ERR_MEMLOCK_LIMIT', 'ERR_OUT_OF_MEMORY', 'ERR_REGISTRATION'],
      8: [
        'ERR_ACCELERATOR',
        'ERR_ALREADY_EXISTS',
        'ERR_HANDSHAKE',
        'ERR_IO',
        'ERR_PEER_LOST',
        'ERR_PROTOCOL',
        'ERR_REMOTE_ACCESS',
        'ERR_STALLED',
        'ERR_VERBS',
      ],
      130: ['ERR_ABORTED'],
    };
    const actual: Partial<Record<number, string[]>> = {};
    for (const code of [...errorCodes].sort()) (actual[exitCodeOf(code)] ??= []).push(code);
    assert.deepEqual(actual, expected);
  });

  it('of signals are those of shells', () => {
    assert.equal(exitCodeOfSignal('SIGINT'), 130);
    assert.equal(exitCodeOfSignal('SIGTERM'), 143);
  });

  it('are those of docs/errors.md, which has every code and no other', () => {
    const rows = [...page('errors.md').matchAll(/^\| `(ERR_[A-Z_]+)` \| (\d+) \|/gm)].map(([, code, exit]) => [code, Number(exit)]);
    const table = errorCodes.map((code) => [code, exitCodeOf(code)] as const);
    assert.deepEqual(Object.fromEntries(rows), Object.fromEntries(table));
    assert.equal(rows.length, table.length, 'a code stands in two rows');
  });

  it('are all in docs/cli.md', () => {
    const rows = [...page('cli.md').matchAll(/^\| (\d+) \| /gm)].map(([, code]) => Number(code));
    assert.deepEqual(rows, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143]);
  });
});

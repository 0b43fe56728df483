import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { descriptorsOf, parseMessage } from '#src/engine/message.js';

const legacy = { kind: 'legacy', device: 'cuda:1', bytes: 4096, handle: 'aB'.repeat(64) };
const vmm = { kind: 'vmm', device: '00000000:17:00.0', chunks: [2097152, 4194304] };
const tensor = { name: 'w', dtype: 'torch.bfloat16', shape: [2, 3], bytes: 12, allocation: 0, offset: 4084 };
const message = { protocol: 'weightcast-engine-1', allocations: [legacy, vmm], tensors: [tensor, { ...tensor, name: 'v', allocation: 1 }] };
const parse = (value: unknown): ReturnType<typeof parseMessage> => parseMessage(JSON.stringify(value));

describe("an engine's message", () => {
  it('says allocations and tensors', () => {
    const parsed = parse(message);
    assert.deepEqual(parsed.allocations[0], { kind: 'legacy', device: { cuda: 1 }, bytes: 4096n, handle: new Uint8Array(64).fill(0xab) });
    assert.deepEqual(parsed.allocations[1], {
      kind: 'vmm',
      device: { pciAddress: '00000000:17:00.0' },
      bytes: 6291456n,
      chunks: BigUint64Array.of(2097152n, 4194304n),
    });
    assert.deepEqual(parsed.tensors[0], { name: 'w', dtype: 'BF16', shape: [2, 3], bytes: 12n, allocation: 0, offset: 4084n });
    assert.equal(descriptorsOf(parsed), 2);
  });

  const withAllocation = (fields: object): object => ({ ...message, allocations: [{ ...legacy, ...fields }, vmm] });
  const withChunks = (chunks: unknown): object => ({ ...message, allocations: [legacy, { ...vmm, chunks }] });
  const withTensor = (fields: object): object => ({ ...message, tensors: [{ ...tensor, ...fields }] });
  const wrong: readonly (readonly [string, unknown])[] = [
    ['the message', []],
    ['protocol', { ...message, protocol: 'weightcast-engine-2' }],
    ['allocations', { ...message, allocations: {} }],
    ['allocations[0]', { ...message, allocations: [7] }],
    ['allocations[0].kind', withAllocation({ kind: 'fabric' })],
    ['allocations[0].device', withAllocation({ device: 0 })],
    ['allocations[0].device', withAllocation({ device: 'hip:0' })],
    ['allocations[0].bytes', withAllocation({ bytes: 0 })],
    ['allocations[0].bytes', withAllocation({ bytes: '4096' })],
    ['allocations[0].bytes', withAllocation({ bytes: 2 ** 53 })],
    ['allocations[0].handle', withAllocation({ handle: 'ab' })],
    ['allocations[0].handle', withAllocation({ handle: 'xy'.repeat(64) })],
    ['allocations[1].chunks', withChunks([])],
    ['allocations[1].chunks', withChunks(undefined)],
    ['allocations[1].chunks[1]', withChunks([2097152, 0])],
    ['tensors', { ...message, tensors: [] }],
    ['tensors', { ...message, tensors: undefined }],
    ['tensors[0]', { ...message, tensors: [null] }],
    ['tensors[0].name', withTensor({ name: '' })],
    ['tensors[1].name', { ...message, tensors: [tensor, tensor] }],
    ['tensors[0].dtype', withTensor({ dtype: 'bf17' })],
    ['tensors[0].shape', withTensor({ shape: 6 })],
    ['tensors[0].shape[1]', withTensor({ shape: [2, -3] })],
    ['tensors[0].shape', withTensor({ shape: [2 ** 52, 2 ** 52] })],
    ['tensors[0].bytes', withTensor({ bytes: 24 })],
    ['tensors[0].allocation', withTensor({ allocation: 2 })],
    ['tensors[0].allocation', withTensor({ allocation: '0' })],
    ['tensors[0].offset', withTensor({ offset: 4085 })],
    ['tensors[0].offset', withTensor({ offset: -1 })],
  ];
  for (const [at, value] of wrong) {
    it(`is refused for ${at} of ${JSON.stringify(value).slice(0, 60)}`, () => {
      assert.throws(
        () => parse(value),
        (error: Error & { code: string }) => error.code === 'ERR_PROTOCOL' && error.message.includes(`message: ${at}: expected `),
      );
    });
  }

  it('is one line of JSON', () => {
    assert.throws(() => parseMessage('{'), { code: 'ERR_PROTOCOL', message: /the message: expected one line of JSON/ });
  });
});

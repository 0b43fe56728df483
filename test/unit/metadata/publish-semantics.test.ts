import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { completeIdentity, mxSourceId } from '#src/identity/index.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { publishMetadata } from '#src/metadata/server/semantics/publish.js';
import { parseUint64 } from '#src/metadata/server/semantics/attributes.js';
import { get, identity, list, publish, publishRequest, READY, tensors, UNKNOWN, unknownStatuses, worker } from './support.js';

describe('PublishMetadata', () => {
  const refusals: [string, Parameters<typeof publishRequest>[0]][] = [
    ['identity is required', {}],
    ['identity.model_name is required', { identity: completeIdentity({ dtype: 'x' }) }],
    ['worker_id is required', { identity }],
    ['worker is required', { identity, workerId: 'w' }],
  ];
  for (const [message, fields] of refusals) {
    it(`refuses: ${message}`, async () => {
      const reply = await publishMetadata(new MemoryStore(), publishRequest(fields));
      assert.deepEqual(reply, { success: false, message, mxSourceId: '', workerId: '' });
    });
  }

  it('answers with the id, the worker and a count of tensors', async () => {
    const sourceId = mxSourceId(identity);
    const said = (count: number): string =>
      `Published metadata for 'Test/Model' (source_id=${sourceId}, worker_id=w, worker_rank=7, ${String(count)} tensors)`;
    const store = new MemoryStore();
    const reply = await publishMetadata(
      store,
      publishRequest({ identity, workerId: 'w', worker: worker({ workerRank: 7, tensors: tensors(3) }) }),
    );
    assert.deepEqual(reply, { success: true, message: said(3), mxSourceId: sourceId, workerId: 'w' });

    const artifact = { artifactId: 'a', totalSize: 1n, fileCount: 1, chunkCount: 1, nodeRank: 0 };
    const payload = { $case: 'artifactSource', value: artifact } as const;
    const other = worker({ workerRank: 7, tensors: tensors(3), sourcePayload: payload });
    assert.equal((await publishMetadata(store, publishRequest({ identity, workerId: 'w', worker: other }))).message, said(0));
  });

  it('stores status and time exactly as sent, unknown numbers too', async () => {
    const store = new MemoryStore();
    const [status = UNKNOWN] = unknownStatuses(99);
    const id = await publish(store, 'w', { status, updatedAt: -5n });
    const { worker: read } = await get(store, id, 'w');
    assert.deepEqual([read?.status, read?.updatedAt], [99, -5n]);
  });

  it('replaces the record of a rank as a whole, and the identity', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { status: READY, updatedAt: 9n, accelerator: 'cuda', tensors: tensors(3) });
    await publish(store, 'w', { agentName: 'second' }, { ...identity, modelName: 'TEST/model' });
    const reply = await get(store, id, 'w');
    assert.deepEqual([reply.worker?.status, reply.worker?.updatedAt, reply.worker?.accelerator, reply.worker?.tensors], [0, 0n, '', []]);
    assert.equal(reply.worker?.agentName, 'second');
    assert.equal(reply.identity?.modelName, 'TEST/model');
  });

  it('keeps several ranks of one worker; the last published represents it, the lowest is fetched', async () => {
    const store = new MemoryStore();
    const id = await publish(store, 'w', { workerRank: 3, agentName: 'three' });
    await publish(store, 'w', { workerRank: 10, agentName: 'ten', accelerator: 'xpu' });
    assert.deepEqual(
      (await list(store, {})).map((reference) => [reference.workerRank, reference.accelerator]),
      [[10, 'xpu']],
    );
    assert.equal((await get(store, id, 'w')).worker?.agentName, 'three');
  });

  it('says the same of a request that repeats its parts', async () => {
    const twice = Buffer.concat([publishRequest({ identity }), publishRequest({ workerId: 'w', worker: worker({ workerRank: 2 }) })]);
    const reply = await publishMetadata(new MemoryStore(), twice);
    assert.equal(reply.success, true);
    assert.match(reply.message, /worker_rank=2, 0 tensors/);
  });
});

describe('training steps', () => {
  it('are unsigned decimal 64-bit numbers or nothing', () => {
    assert.equal(parseUint64('0'), 0n);
    assert.equal(parseUint64('+17'), 17n);
    assert.equal(parseUint64('18446744073709551615'), (1n << 64n) - 1n);
    for (const text of ['18446744073709551616', '', '+', '-1', ' 1', '1 ', '1.0', '0x1', '++1', '1e3'])
      assert.equal(parseUint64(text), undefined, text);
  });
});

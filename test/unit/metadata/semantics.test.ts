// What the calls answer is tested over every store (test/support/conformance); here is what no reply shows.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { UpdateStatusRequest } from '#src/gen/model_express/p2p.js';
import { MalformedRequest } from '#src/metadata/server/semantics/answer.js';
import { parseUint64 } from '#src/metadata/server/semantics/attributes.js';
import { getMetadata } from '#src/metadata/server/semantics/get.js';
import { listSources } from '#src/metadata/server/semantics/list.js';
import { publishMetadata } from '#src/metadata/server/semantics/publish.js';
import { updateStatus } from '#src/metadata/server/semantics/update-status.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { identity, lengthDelimited, listRequest, publish, publishRequest, READY, worker } from './support.js';

const update = (fields: Partial<UpdateStatusRequest>): UpdateStatusRequest => ({ ...UpdateStatusRequest.create(), ...fields });

describe('the kind of an answer', () => {
  it('tells what stands in the reply', async () => {
    const store = new MemoryStore();
    const published = publishRequest({ identity, workerId: 'w', worker: worker() });
    const answered = await publishMetadata(store, published);
    assert.equal(answered.outcome, 'ok');
    const { mxSourceId } = answered.reply;
    assert.equal((await publishMetadata(store, publishRequest({}))).outcome, 'invalid_argument');
    assert.equal((await publishMetadata(store, publishRequest({ identity, workerId: '__attributes__' }))).outcome, 'invalid_argument');
    assert.equal((await listSources(store, listRequest({}), 1, 1)).outcome, 'ok');
    assert.equal((await getMetadata(store, { mxSourceId, workerId: 'w' })).outcome, 'ok');
    assert.equal((await getMetadata(store, { mxSourceId, workerId: '' })).outcome, 'invalid_argument');
    assert.equal((await getMetadata(store, { mxSourceId, workerId: 'v' })).outcome, 'not_found');
    assert.equal((await updateStatus(store, update({ mxSourceId, workerId: 'w', status: READY }), 1)).outcome, 'ok');
    assert.equal((await updateStatus(store, update({ mxSourceId, workerId: 'v' }), 1)).outcome, 'not_found');
    assert.equal((await updateStatus(store, update({ mxSourceId, workerId: 'w', status: 4 as never }), 1)).outcome, 'invalid_argument');
  });
});

describe('bytes that are no request', () => {
  const truncated = Buffer.from([0x0a, 0xff]);

  it('are refused as such, wherever they stand', async () => {
    const store = new MemoryStore();
    const parts = (identityBytes: Buffer, workerBytes: Buffer): Buffer =>
      Buffer.concat([lengthDelimited(1, identityBytes), lengthDelimited(2, workerBytes), lengthDelimited(3, Buffer.from('w'))]);
    const model = lengthDelimited(3, Buffer.from('m'));
    for (const request of [truncated, parts(truncated, Buffer.alloc(0)), parts(model, truncated)]) {
      await assert.rejects(publishMetadata(store, request), MalformedRequest);
    }
    for (const request of [truncated, lengthDelimited(1, truncated)]) {
      await assert.rejects(listSources(store, request, 1, 1), MalformedRequest);
    }
    assert.deepEqual(await store.list(), []);
  });

  it('are answered or refused, and never anything else', async () => {
    const store = new MemoryStore();
    await publish(store, 'w');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        for (const call of [publishMetadata(store, Buffer.from(bytes)), listSources(store, Buffer.from(bytes), 1, 1)]) {
          await call.catch((error: unknown) => {
            assert.ok(error instanceof MalformedRequest, String(error));
          });
        }
      }),
      { numRuns: 1000 },
    );
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

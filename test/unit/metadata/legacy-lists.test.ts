import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { LegacyLists } from '#src/metadata/wire/legacy-lists.js';
import { parseWorker } from '#src/metadata/wire/worker.js';
import { encodeWorkerMessage, tensors } from './support.js';

function payload(count: number) {
  const { payload: parsed } = parseWorker(encodeWorkerMessage({ tensors: tensors(count) }));
  assert.ok(parsed.kind === 'tensors');
  return parsed;
}

describe('legacy lists', () => {
  it('are made once, and hold what was stored', () => {
    const lists = new LegacyLists(1_000_000);
    const stored = payload(300);
    const list = lists.of(stored);
    assert.deepEqual(WorkerMetadata.decode(list).tensors, tensors(300));
    assert.equal(lists.of(stored), list);
    assert.equal(lists.bytes, list.length);
  });

  it('give way to others, those used longest ago first, and are made again', () => {
    const [a, b, c] = [payload(100), payload(100), payload(100)];
    const lists = new LegacyLists(2 * a.entries.length);
    const first = lists.of(a);
    const second = lists.of(b);
    assert.equal(lists.of(a), first);
    lists.of(c);
    assert.equal(lists.of(a), first);
    assert.notEqual(lists.of(b), second);
    assert.equal(lists.bytes, 2 * a.entries.length);
  });

  it('larger than all the room are given and not kept', () => {
    const lists = new LegacyLists(10);
    assert.deepEqual(WorkerMetadata.decode(lists.of(payload(5))).tensors, tensors(5));
    assert.equal(lists.bytes, 0);
  });
});

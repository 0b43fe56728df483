/** Lists that are kept up to date answer as lists that are made anew. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { OrderedListings } from '#src/metadata/server/semantics/ordered-listings.js';
import { originOf, SourceListings } from '#src/metadata/stores/source-listings.js';
import type { WorkerListing } from '#src/metadata/stores/store.js';

const source = { modelName: 'm', trainingStep: undefined, layoutSignature: undefined, identity: Buffer.alloc(0) };

function listing(workerId: string, updatedAt: number): WorkerListing {
  const status = SourceStatus.SOURCE_STATUS_READY;
  const facts = { accelerator: '', topology: {}, sourceLoad: undefined, statuses: [status] };
  return { sourceId: '0123456789abcdef', workerId, source, workerRank: 0, status, updatedAt: BigInt(updatedAt), ...facts };
}

const bytes = (listings: OrderedListings, since = 1n): string => Buffer.concat(listings.encoded(since)).toString('hex');

describe('ordered listings', () => {
  it('are after every change what they would be if made anew', () => {
    let now = 1000;
    let workers = Array.from({ length: 2000 }, (_, index) => listing(`w${String(index)}`, now++));
    let ordered = OrderedListings.of(workers);
    for (let round = 0; round < 300; round++) {
      // Heartbeats in no order, a worker that leaves and one that is new; now and then half of them at once.
      const count = round % 50 === 49 ? workers.length / 2 : 3;
      const removed = new Set(Array.from({ length: count }, (_, index) => workers[(round * 7919 + index * 613) % workers.length]!));
      const leaving = [...removed][0];
      const added = [...removed].filter((worker) => worker !== leaving).map(({ workerId }) => listing(workerId, now++));
      added.push(listing(`new${String(round)}`, now++));
      workers = [...workers.filter((worker) => !removed.has(worker)), ...added];
      ordered = ordered.with(removed, added);
      const anew = OrderedListings.of(workers);
      assert.equal(bytes(ordered), bytes(anew), `round ${String(round)}`);
      const since = BigInt(now - 700);
      assert.equal(bytes(ordered, since), bytes(anew, since));
      assert.deepEqual(ordered.workers(), anew.workers());
    }
    assert.ok(ordered.encoded(1n).length < 40, 'blocks do not get small');
  });

  it('keep a listing that is removed and added at once', () => {
    const workers = Array.from({ length: 1000 }, (_, index) => listing(`w${String(index)}`, index + 1));
    const ordered = OrderedListings.of(workers);
    const moved = workers[5]!;
    assert.equal(bytes(ordered.with(new Set([moved]), [moved])), bytes(ordered));
  });
});

describe('listings of a source', () => {
  it('never change an array that was handed out, and keep the places of those that stay', () => {
    const listings = new SourceListings();
    for (const id of ['a', 'b', 'c', 'd']) listings.set(listing(id, 1));
    const first = listings.list();
    const before = [...first];
    assert.equal(listings.list(), first);
    listings.set(listing('b', 2));
    listings.delete('a');
    listings.delete('nobody');
    const second = listings.list();
    assert.deepEqual(first, before);
    assert.deepEqual(
      second.map(({ workerId, updatedAt }) => [workerId, updatedAt]),
      [
        ['d', 1n],
        ['b', 2n],
        ['c', 1n],
      ],
    );
    assert.equal(second[2], first[2]);
    assert.equal(originOf(second), originOf(first));
    assert.equal(originOf([...second]), undefined);
    listings.delete('c');
    assert.deepEqual([listings.size, listings.get('c'), listings.get('d')?.workerId], [2, undefined, 'd']);
  });
});

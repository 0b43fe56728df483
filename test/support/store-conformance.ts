/**
 * What every metadata server must do, over any store and over any wire: the rules of the four calls, values that must
 * survive, and calls that meet at one record.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import type { Case } from './conformance/case.js';
import { concurrencyCases } from './conformance/concurrency.js';
import { getCases, updateCases } from './conformance/get-and-update.js';
import { listCases } from './conformance/list.js';
import { payloadCases } from './conformance/payload.js';
import { publishCases } from './conformance/publish.js';
import { peerOf, storeCases } from './conformance/store.js';
import { type P2pCalls, Peer } from './p2p-calls.js';
import { READY, STALE, tensors } from './p2p-messages.js';

export interface OpenedStore {
  readonly store: MetadataStore;
  /** Closes the store and opens another one of what it has kept; absent where nothing is kept. */
  readonly reopen?: () => Promise<MetadataStore>;
  /** Also closes what `reopen` gave. */
  readonly close: () => Promise<void>;
}

const groups: readonly [string, readonly Case[]][] = [
  ['PublishMetadata', publishCases],
  ['what was published', payloadCases],
  ['ListSources', listCases],
  ['GetMetadata', getCases],
  ['UpdateStatus', updateCases],
  ['at once', concurrencyCases],
];

/**
 * Registers the cases that any server can be asked for, one test each.
 *
 * @param open gives the calls of a server that is empty and whose heartbeat time-out is 90 s, once for each case.
 */
export function p2pConformance(name: string, open: () => Promise<{ calls: P2pCalls; close: () => Promise<void> }>): void {
  for (const [group, cases] of groups) {
    describe(`${name}: ${group}`, () => {
      for (const [title, run] of cases) {
        it(title, async () => {
          const { calls, close } = await open();
          try {
            await run(new Peer(calls));
          } finally {
            await close();
          }
        });
      }
    });
  }
}

/**
 * Registers all cases of {@link p2pConformance} over the semantics of our server, and those of the store's own contract.
 *
 * @param open gives a store that is empty, once for each case.
 */
export function storeConformance(name: string, open: () => Promise<OpenedStore>): void {
  p2pConformance(name, async () => {
    const { store, close } = await open();
    return { calls: peerOf(store).calls, close };
  });
  describe(`${name}: the store`, () => {
    for (const [title, run] of storeCases) {
      it(title, async () => {
        const { store, close } = await open();
        try {
          await run(store, peerOf(store));
        } finally {
          await close();
        }
      });
    }
    it('keeps what was acknowledged when it is opened again', async (test) => {
      const { store, reopen, close } = await open();
      try {
        if (reopen === undefined) test.skip('nothing outlives this store');
        else await survivesReopening(store, reopen);
      } finally {
        await close();
      }
    });
  });
}

async function survivesReopening(store: MetadataStore, reopen: () => Promise<MetadataStore>): Promise<void> {
  const peer = peerOf(store);
  const load = { sourceLoad: 0 };
  const id = await peer.publish('a', { workerRank: 3, agentName: 'a', tensors: tensors(5), topology: { rack: 'r' } });
  await peer.publish('a', { workerRank: 4 });
  await peer.publish('b', { updatedAt: (1n << 53n) + 1n });
  await peer.publish('removed');
  await peer.update(id, 'a', { workerRank: 3, status: STALE, ...load });
  await peer.update(id, 'a', { workerRank: 4, status: READY, ...load });
  await store.removeWorker(id, 'removed');
  const before = { list: await peer.list(), ready: await peer.list({ statusFilter: READY }), a: await peer.get(id, 'a') };
  assert.equal(before.list.length, 2);

  const again = peerOf(await reopen());
  again.clock.now = peer.clock.now;
  assert.deepEqual({ list: await again.list(), ready: await again.list({ statusFilter: READY }), a: await again.get(id, 'a') }, before);
  assert.deepEqual((await again.get(id, 'b')).worker?.updatedAt, (1n << 53n) + 1n);
}

/** A real Mooncake TransferEngine and this process read each other's tensors over the two rails of one host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { startServer } from '../../support/cluster.js';
import { partsOf, publishedSeed, publishSession, pullAll, readAll, stillThere, tensors, totalBytes } from '../../support/mooncake/moves.js';
import { thoroughly, versions, whySkip } from '../../support/mooncake/peer.js';
import { connectedPeerRdma, ownRdma, startPeer, withoutRdmaLeaks } from '../../support/mooncake/rdma.js';
import { address } from '../../support/softroce.js';

const server = await startServer();

/** Beside one to warm up. */
const roundsOf = (version: string): number => (thoroughly.includes(version) ? 20 : 1);

for (const version of versions) {
  const shared = { identity: { modelName: version }, server: server.address, host: address(0), transport: 'rdma' } as const;

  test(`Mooncake ${version}`, { skip: whySkip(version) }, async (t) => {
    // Ends with this test, not with one inside of it.
    const { peer, session, placed } = await startPeer(version, 0);

    await t.test('its tensors, of one memory region or of one each, are pulled by RDMA over both rails', async (t) => {
      // As ModelExpress registers them, and as SGLang does.
      const merged = version !== versions[0];
      assert.equal(await peer.register({ merged }), merged ? 1 : tensors.length);
      await publishSession(shared, session, placed);
      const rates: string[] = [];
      await withoutRdmaLeaks(
        peer,
        roundsOf(version),
        async () => {
          await stillThere(shared);
          const { lanes, wireGBps } = await pullAll(shared);
          assert.deepEqual(lanes.map((lane) => lane.name).sort(), ['rxe0>rxe0', 'rxe1>rxe1']);
          for (const lane of lanes) assert.ok(lane.bytes > 0n && lane.failure === '', `${lane.name}: ${lane.failure}`);
          rates.push(wireGBps.toFixed(3));
        },
        connectedPeerRdma,
      );
      t.diagnostic(`GB/s: ${rates.join(' ')}`);
      assert.deepEqual(ownRdma(peer), { queuePairs: 0, completionQueues: 0, protectionDomains: 0, memoryRegions: 0 });
    });

    await t.test('it reads ours by RDMA over both rails', async () => {
      await peer.call('unregister');
      assert.equal(await peer.register(), 1);
      using region = await Region.allocate(BigInt(totalBytes));
      {
        await using seed = await seedTensors(partsOf(region), { ...shared, workerId: 'own' });
        const published = await publishedSeed(server.address, seed.sourceId, 'own');
        await withoutRdmaLeaks(peer, roundsOf(version), () => readAll(peer, published));
        // Two queue pairs a rail, and one region on each of them.
        assert.deepEqual(ownRdma(peer), { queuePairs: 4, completionQueues: 2, protectionDomains: 2, memoryRegions: 2 });
      }
      assert.deepEqual(ownRdma(peer), { queuePairs: 0, completionQueues: 0, protectionDomains: 0, memoryRegions: 0 });
    });
  });
}

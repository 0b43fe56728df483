/** A real Mooncake TransferEngine as the target, over TCP: one `batch_transfer_sync_read` out of our seed, as SGLang's loader does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Region } from '#src/region.js';
import { seedTensors, type SeedTensor } from '#src/seed/index.js';
import { startServer } from '../../support/cluster.js';
import { expected, expectedOf, partsOf, publishedSeed, readAll, tensors } from '../../support/mooncake/moves.js';
import { versions, whySkip, type MooncakePeer } from '../../support/mooncake/peer.js';
import { withoutLeaks } from '../../support/mooncake/usage.js';
import { shared } from '../target/support.js';
import { roundsOf, startPeer } from './support.js';

const server = await startServer();

for (const version of versions) {
  describe(`to Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('all tensors, again and again, of one region into one region', async () => {
      const { peer } = await startPeer(version);
      assert.equal(await peer.register({ merged: true }), 1);
      using region = await Region.allocate(BigInt(expected.length));
      await seedTo(peer, partsOf(region), roundsOf(version));
    });

    test('all tensors, of one region a tensor into one region a tensor', async () => {
      const { peer } = await startPeer(version);
      assert.equal(await peer.register({ merged: false }), tensors.length);
      const parts = tensors.map(([name]) => ({ name, dtype: 'U8', data: new Uint8Array(expectedOf(name)) }));
      await seedTo(peer, parts, 2);
    });
  });
}

async function seedTo(peer: MooncakePeer, parts: readonly SeedTensor[], rounds: number): Promise<void> {
  await using seed = await seedTensors([...parts], shared(server.address));
  const { sourceId, workerId } = seed.summary;
  const offered = await publishedSeed(server.address, sourceId, workerId);
  await withoutLeaks(peer, rounds, () => readAll(peer, offered));
}

/** A real Mooncake TransferEngine as the target, over TCP: one `batch_transfer_sync_read` out of our seed, as SGLang's loader does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Region } from '#src/region.js';
import { seedTensors, type SeedTensor } from '#src/seed/index.js';
import { startServer } from '../../support/cluster.js';
import { offsetsOf } from '../../support/mooncake/odd-tensors.js';
import { expected, expectedOf, partsOf, publishedSeed, readAll, tensors } from '../../support/mooncake/moves.js';
import { MooncakePeer, pattern, versions, whySkip } from '../../support/mooncake/peer.js';
import { withoutLeaks } from '../../support/mooncake/usage.js';
import { shared } from '../target/support.js';
import { host, roundsOf, startPeer } from './support.js';

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

/** Releases up to 0.3.12 open a connection for each tensor of a batch, all of them at once. */
const oneConnectionEach = '0.3.11.post1';

test('thousands of connections of one batch are all served', { skip: whySkip(oneConnectionEach) }, async () => {
  const many = Array.from({ length: 6000 }, (_, index) => [`experts.${String(index)}`, 16_384] as const);
  const at = offsetsOf(many, 64);
  const bytes = pattern('many', many.length * 16_384);
  const peer = MooncakePeer.start(oneConnectionEach, { MC_FORCE_TCP: '1' });
  await peer.initialize(host);
  await peer.allocate(many);
  await peer.register({ merged: true });
  using region = await Region.allocate(BigInt(bytes.length));
  region.view(0n, bytes.length).set(bytes);
  const parts = many.map(([name, size]) => ({
    name,
    dtype: 'U8',
    data: { region, offset: BigInt(at[name] ?? 0), byteLength: BigInt(size) },
  }));
  await using seed = await seedTensors(parts, shared(server.address));
  const { session, addresses } = await publishedSeed(server.address, seed.summary.sourceId, seed.summary.workerId);
  for (let round = 1; round <= 3; round++) {
    await peer.clear();
    assert.equal((await peer.read(session, addresses)).result, 0, peer.log.slice(-2000));
    assert.deepEqual(await peer.differing(at, 'many'), []);
  }
});

async function seedTo(peer: MooncakePeer, parts: readonly SeedTensor[], rounds: number): Promise<void> {
  await using seed = await seedTensors([...parts], shared(server.address));
  const { sourceId, workerId } = seed.summary;
  const offered = await publishedSeed(server.address, sourceId, workerId);
  await withoutLeaks(peer, rounds, () => readAll(peer, offered));
}

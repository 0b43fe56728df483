/** A real Mooncake TransferEngine as the target, over TCP: one `batch_transfer_sync_read` out of our seed, as SGLang's loader does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Region } from '#src/region.js';
import { seedTensors, type Seed, type SeedTensor } from '#src/seed/index.js';
import { startServer } from '../../support/cluster.js';
import { versions, whySkip, type MooncakePeer } from '../../support/mooncake/peer.js';
import { withoutLeaks } from '../../support/mooncake/usage.js';
import { recordOf, shared } from '../target/support.js';
import { bytesOf, expected, expectedOf, filled, offsets, roundsOf, startPeer, tensors } from './support.js';

const server = await startServer();

for (const version of versions) {
  describe(`to Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('all tensors, again and again, of one region into one region', async () => {
      const { peer } = await startPeer(version);
      assert.equal(await peer.register({ merged: true }), 1);
      using region = await Region.allocate(BigInt(expected.length));
      region.view(0n, expected.length).set(expected);
      const parts = tensors.map(([name, byteLength]) => ({
        name,
        dtype: 'U8',
        data: { region, offset: BigInt(offsets[name] ?? 0), byteLength: BigInt(byteLength) },
      }));
      await readAll(peer, parts, roundsOf(version));
    });

    test('all tensors, of one region a tensor into one region a tensor', async () => {
      const { peer } = await startPeer(version);
      assert.equal(await peer.register({ merged: false }), tensors.length);
      const parts = tensors.map(([name]) => ({ name, dtype: 'U8', data: new Uint8Array(expectedOf(name)) }));
      await readAll(peer, parts, 2);
    });
  });
}

async function readAll(peer: MooncakePeer, parts: readonly SeedTensor[], rounds: number): Promise<void> {
  await using seed = await seedTensors([...parts], shared(server.address));
  const { session, addresses } = await published(seed);
  await withoutLeaks(peer, rounds, async () => {
    await peer.clear();
    const { result, bytes } = await peer.read(session, addresses);
    assert.equal(result, 0, peer.log.slice(-2000));
    assert.equal(
      bytes,
      Object.values(bytesOf).reduce((sum, each) => sum + each, 0),
    );
    assert.deepEqual(await peer.differing(offsets, filled), []);
  });
}

/** All that a Mooncake process needs of a seed, from the server where ModelExpress' client looks for it. */
async function published(seed: Seed): Promise<{ session: string; addresses: Record<string, string> }> {
  const { backendMetadata, sourcePayload } = await recordOf(server.address, seed);
  assert.ok(backendMetadata?.$case === 'transferEngineSessionId');
  assert.ok(sourcePayload?.$case === 'tensorSource');
  const addresses = sourcePayload.value.tensors.map(({ name, addr }) => [name, String(addr)] as const);
  return { session: backendMetadata.value, addresses: Object.fromEntries(addresses) };
}

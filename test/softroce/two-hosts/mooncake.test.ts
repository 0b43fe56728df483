/** A real Mooncake TransferEngine on one host and Weightcast on the other, over two wires: host 0 seeds, host 1 reads. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { MetadataServer } from '#src/metadata/server/server.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import {
  partsOf,
  publishedSeed,
  publishSession,
  pullAll,
  readAll,
  stillThere,
  tensors,
  totalBytes,
  type PublishedSeed,
} from '../../support/mooncake/moves.js';
import { thoroughly, whySkip } from '../../support/mooncake/peer.js';
import { connectedPeerRdma, ownRdma, peerRdma, startPeer } from '../../support/mooncake/rdma.js';
import { takeOwnStock, takePeerStock } from '../../support/mooncake/usage.js';
import { address, barrier, hostIndex, publish, published } from '../../support/softroce.js';

/** Beside one to warm up. */
const rounds = 20;

/** What the other host does meanwhile: all rounds. */
const patienceMs = 600_000;

// An emulated machine may be left without a processor for longer than the half second after which a peer counts as dead.
process.env['WEIGHTCAST_IB_TIMEOUT'] = '17';

for (const version of thoroughly) {
  test(`Mooncake ${version}, both ways`, { skip: whySkip(version) }, (t) => (hostIndex === 0 ? seeding(version) : reading(version, t)));
}

async function seeding(version: string): Promise<void> {
  await using server = await MetadataServer.listen({ listen: `${address(0)}:0` });
  const shared = { identity: { modelName: version }, server: server.address, host: address(0), transport: 'rdma' } as const;
  const { peer, session, placed } = await startPeer(version, 0);
  assert.equal(await peer.register({ merged: true }), 1);
  await publishSession(shared, session, placed);
  await publish(`${version}.server`, server.address);
  await barrier(`${version}.warm`, patienceMs);
  const checkPeer = await takePeerStock(peer, () => connectedPeerRdma(peer));
  await barrier(`${version}.pulled`, patienceMs);
  await checkPeer();
  await peer.kill();

  using region = await Region.allocate(BigInt(totalBytes));
  {
    await using seed = await seedTensors(partsOf(region), { ...shared, workerId: 'own' });
    await publish(`${version}.seed`, await publishedSeed(server.address, seed.sourceId, 'own'));
    await barrier(`${version}.first`, patienceMs);
    const check = await takeOwnStock(ownRdma);
    await barrier(`${version}.read`, patienceMs);
    await check();
  }
  assert.deepEqual(ownRdma(), { queuePairs: 0, completionQueues: 0, protectionDomains: 0, memoryRegions: 0 });
}

async function reading(version: string, t: TestContext): Promise<void> {
  const server = await published<string>(`${version}.server`, patienceMs);
  const shared = { identity: { modelName: version }, server, host: address(1), transport: 'rdma' } as const;
  const rates: string[] = [];
  const pullOnce = async (): Promise<void> => {
    await stillThere(shared);
    const { lanes, wireGBps } = await pullAll(shared);
    assert.deepEqual(lanes.map((lane) => lane.name).sort(), ['rxe0>rxe0', 'rxe1>rxe1']);
    for (const lane of lanes) assert.ok(lane.bytes > 0n && lane.failure === '', `${lane.name}: ${lane.failure}`);
    rates.push(wireGBps.toFixed(3));
  };
  await pullOnce();
  const checkTarget = await takeOwnStock(ownRdma);
  await barrier(`${version}.warm`, patienceMs);
  for (let round = 0; round < rounds; round++) await pullOnce();
  await checkTarget();
  t.diagnostic(`pulled at GB/s ${rates.join(' ')}`);
  await barrier(`${version}.pulled`, patienceMs);

  const { peer } = await startPeer(version, 1);
  assert.equal(await peer.register({ merged: version !== thoroughly[0] }), version === thoroughly[0] ? tensors.length : 1);
  const seed = await published<PublishedSeed>(`${version}.seed`, patienceMs);
  await readAll(peer, seed);
  const checkReader = await takePeerStock(peer, () => peerRdma(peer));
  await barrier(`${version}.first`, patienceMs);
  for (let round = 0; round < rounds; round++) await readAll(peer, seed);
  await checkReader();
  await barrier(`${version}.read`, patienceMs);
}

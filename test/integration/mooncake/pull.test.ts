/** A real Mooncake TransferEngine as the seed, over TCP, published as ModelExpress publishes it with `transport=transfer_engine`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fetchDescriptor, tcpDescriptor } from '#src/handshake/index.js';
import { pull, type PullOptions } from '#src/target/index.js';
import { startServer } from '../../support/cluster.js';
import { versions, whySkip, type Placed } from '../../support/mooncake/peer.js';
import { withoutLeaks } from '../../support/mooncake/usage.js';
import { publish, shared } from '../target/support.js';
import { expectedOf, filled, host, roundsOf, startPeer, tensors } from './support.js';

const server = await startServer();

for (const version of versions) {
  describe(`from Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('all tensors, again and again, of merged regions and of one region a tensor', async () => {
      const { peer, session, placed } = await startPeer(version, { filled });
      const options = shared(server.address);
      await publishSession(options, session, placed);

      assert.equal(await peer.register({ merged: true }), 1);
      assert.equal(await buffersAt(session), 1);
      await withoutLeaks(peer, roundsOf(version), () => pullAll(options));
      await peer.call('unregister');
      assert.equal(await buffersAt(session), 0);

      // The same addresses, registered anew under the same session.
      assert.equal(await peer.register({ merged: false }), tensors.length);
      assert.equal(await buffersAt(session), tensors.length);
      await withoutLeaks(peer, 2, () => pullAll(options));
      await peer.call('unregister');
      assert.equal(await buffersAt(session), 0);
    });
  });
}

/** What its own client sends: a session, names, addresses and sizes; no dtypes, no endpoint of a worker. */
async function publishSession(options: Pick<PullOptions, 'identity' | 'server'>, session: string, placed: Placed): Promise<void> {
  const sent = Object.entries(placed).map(([name, [address, bytes]]) => ({
    name,
    addr: BigInt(address),
    size: BigInt(bytes),
    deviceId: 0,
    dtype: '',
  }));
  await publish(options, 'mooncake', {
    backendMetadata: { $case: 'transferEngineSessionId', value: session },
    sourcePayload: { $case: 'tensorSource', value: { tensors: sent } },
  });
}

async function pullAll(options: ReturnType<typeof shared>): Promise<void> {
  const result = await pull({ ...options, into: { kind: 'memory' } });
  assert.equal(result.transport, 'tcp');
  assert.equal(result.tensors, tensors.length);
  assert.equal(result.verified, undefined);
  assert.ok(result.output.kind === 'memory');
  using region = result.output.region;
  const arrived = new Map(result.output.tensors.map((tensor) => [tensor.name, tensor]));
  for (const [name, bytes] of tensors) {
    const tensor = arrived.get(name);
    assert.equal(tensor?.bytes, BigInt(bytes), name);
    assert.ok(expectedOf(name).equals(region.view(tensor?.offset ?? 0n, bytes)), `${name} differs`);
  }
}

async function buffersAt(session: string): Promise<number> {
  const { buffers } = await fetchDescriptor(session, tcpDescriptor({ name: `${host}:1` }), { prefer: 'tcp' });
  return buffers.length;
}

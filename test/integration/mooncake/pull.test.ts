/** A real Mooncake TransferEngine as the seed, over TCP, published as ModelExpress publishes it with `transport=transfer_engine`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fetchDescriptor, tcpDescriptor } from '#src/handshake/index.js';
import { startServer } from '../../support/cluster.js';
import { publishSession, pullAll, tensors } from '../../support/mooncake/moves.js';
import { versions, whySkip } from '../../support/mooncake/peer.js';
import { withoutLeaks } from '../../support/mooncake/usage.js';
import { shared } from '../target/support.js';
import { host, roundsOf, startPeer } from './support.js';

const server = await startServer();

for (const version of versions) {
  describe(`from Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('all tensors, again and again, of merged regions and of one region a tensor', async () => {
      const { peer, session, placed } = await startPeer(version);
      const options = shared(server.address);
      await publishSession(options, session, placed);
      const round = async (): Promise<void> => {
        await pullAll(options);
      };

      assert.equal(await peer.register({ merged: true }), 1);
      assert.equal(await buffersAt(session), 1);
      await withoutLeaks(peer, roundsOf(version), round);
      await peer.call('unregister');
      assert.equal(await buffersAt(session), 0);

      // The same addresses, registered anew under the same session.
      assert.equal(await peer.register({ merged: false }), tensors.length);
      assert.equal(await buffersAt(session), tensors.length);
      await withoutLeaks(peer, 2, round);
      await peer.call('unregister');
      assert.equal(await buffersAt(session), 0);
    });
  });
}

async function buffersAt(session: string): Promise<number> {
  const { buffers } = await fetchDescriptor(session, tcpDescriptor({ name: `${host}:1` }), { prefer: 'tcp' });
  return buffers.length;
}

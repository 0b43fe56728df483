/** Peers that die while they are read, and peers that are started again at the same port: never a byte of one for a byte of the other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { versions, whySkip } from '../../support/mooncake/peer.js';
import { prepare, replace, start, type Started } from '../../support/mooncake/restart.js';
import { p0, p1, p3 } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedSeed } from '../../support/mooncake/simulated/seed.js';
import type { Fault } from '../../support/mooncake/simulated/tcp-service.js';
import { takeOwnStock } from '../../support/mooncake/usage.js';
import {
  assertArrived,
  bytesOf,
  failure,
  pullFrom,
  sglangAt,
  slowlyFrom,
  tensorsOf,
  twoFreePorts,
  weightsOf,
} from '../../support/mooncake/faults.js';
import { host } from './support.js';

const afresh = /^the source changed, and was asked and read anew: /;

for (const version of versions) {
  const spawn = { version, host, env: { MC_FORCE_TCP: '1' }, megabytes: 24 };

  describe(`Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('killed while it is read: ERR_PEER_LOST, and nothing of it is held', async () => {
      const { peer, session: id, tensors, expected } = await start({ ...spawn, filled: 'warm' });
      const session = { id, tensors };
      assertArrived(await pullFrom({ session }), expected);
      const check = await takeOwnStock();
      let killed = 0;
      const midRead = (): void => {
        killed = performance.now();
        peer.process.kill('SIGKILL');
      };
      const error = await failure(pullFrom({ session }, { ...slowlyFrom(version), midRead }), 'ERR_PEER_LOST');
      // The connections break at once; then it has three seconds to say whether it has changed.
      assert.ok(performance.now() - killed < 15_000);
      assert.equal(error.peer, id);
      assert.match(error.message, /failed after \d+ bytes/);
      await check();
    });

    test('started again at the same port between discovery and reading: its new bytes; an error where nobody says where they are', async () => {
      const before = await start({ ...spawn, filled: 'before' });
      const now = await replace(before, { ...spawn, filled: 'now' });
      let asked = 0;
      const result = await pullFrom({ sglang: await sglangAt(() => (asked++ === 0 ? before : now)) });
      assertArrived(result, now.expected);
      assert.match(result.notes[0] ?? '', afresh);
      const stale = pullFrom({ session: { id: now.session, tensors: before.tensors } });
      assert.equal((await failure(stale, 'ERR_PROTOCOL', 'ERR_REMOTE_ACCESS', 'ERR_PEER_LOST')).peer, now.session);
    });

    test('killed while it is read, and started again: its new bytes', async () => {
      const before = await start({ ...spawn, filled: 'before' });
      // All but up: it is soon there.
      const next = await prepare({ ...spawn, filled: 'now' }, await twoFreePorts());
      let coming: Promise<Started> | undefined;
      const url = await sglangAt(() => coming ?? before);
      const midRead = (): void => {
        before.peer.process.kill('SIGKILL');
        coming = next.up();
      };
      const result = await pullFrom({ sglang: url }, { ...slowlyFrom(version), midRead });
      assertArrived(result, (await coming)?.expected ?? new Map());
      assert.match(result.notes[0] ?? '', afresh);
    });
  });
}

/** Of the 17 answers of one connection, in slices of 20 000 bytes. */
const inSlices = { connections: 1, sliceBytes: 20_000 };

describe('a peer that another one replaces, with the same ports and addresses and other bytes', () => {
  const old = weightsOf(1);
  const young = weightsOf(2);
  assert.notDeepEqual(bytesOf(old), bytesOf(young));
  assert.deepEqual(tensorsOf(old), tensorsOf(young));

  for (const profile of [p1, p3]) {
    for (const answers of [0, 1, 2, 9]) {
      test(`after ${answers} answers: every byte is a new one, as ${profile.name}`, async () => {
        const fault: Fault = async ({ bytes, number }) => {
          if (number !== answers) return { bytes };
          // No byte of the answer has left, and the new one listens when the connection breaks: it gets the same request.
          seed.leave();
          await SimulatedSeed.start(profile, { buffers: young.buffers, ports: seed.ports });
          return { bytes: Buffer.alloc(0), then: 'reset' };
        };
        const seed: SimulatedSeed = await SimulatedSeed.start(profile, { buffers: old.buffers, fault });
        const { address: session } = seed;
        const result = await pullFrom({ sglang: await sglangAt(() => ({ session, tensors: tensorsOf(old) })) }, inSlices);
        assertArrived(result, bytesOf(young));
        assert.match(result.notes[0] ?? '', /asked and read anew: .* it ended 1 connection\(s\) in between/);
      });
    }

    test(`and whose tensors the caller knows: ERR_SOURCE_GONE, as ${profile.name}`, async () => {
      const fault: Fault = ({ bytes, number }) => (number === 5 ? { bytes, then: 'reset' } : { bytes });
      const seed = await SimulatedSeed.start(profile, { buffers: old.buffers, fault });
      const session = { id: seed.address, tensors: tensorsOf(old) };
      const { message } = await failure(pullFrom({ session }, inSlices), 'ERR_SOURCE_GONE');
      assert.match(message, /ended 1 connection\(s\) in between; .* was started again or moved its memory/);
    });
  }

  test('one of one request a connection is read over as many connections, and not taken for replaced', async () => {
    const seed = await SimulatedSeed.start(p0, { buffers: old.buffers });
    const session = { id: seed.address, tensors: tensorsOf(old) };
    assertArrived(await pullFrom({ session }, inSlices), bytesOf(old));
    assert.ok(seed.tcpService.connections >= 17);
    for (const lanes of [1, 2, 4]) assertArrived(await pullFrom({ session }, { connections: lanes, sliceBytes: 80_000 }), bytesOf(old));
  });
});

describe('a peer that comes back elsewhere', () => {
  test('with other memory at the same port, again and again: an error that says so after the second time', async () => {
    const weights = weightsOf(1);
    let shift = 0;
    const seed = await SimulatedSeed.start(p3, { buffers: weights.buffers });
    const moved = await sglangAt(() => {
      shift += 4096;
      return {
        session: seed.address,
        tensors: tensorsOf(weights).map((tensor) => ({ ...tensor, address: tensor.address + BigInt(shift) })),
      };
    });
    const { message } = await failure(pullFrom({ sglang: moved }), 'ERR_PROTOCOL', 'ERR_REMOTE_ACCESS');
    assert.match(message, /\nit was asked anew since it had changed: /);
  });

  test('at the same port with another data port: read anew there', async () => {
    const weights = weightsOf(1);
    const before = await SimulatedSeed.start(p3, { buffers: weights.buffers });
    const tensors = tensorsOf(weights);
    const session = before.address;
    let replaced: Promise<SimulatedSeed> | undefined;
    const replace = async (): Promise<SimulatedSeed> => {
      await before.kill();
      return SimulatedSeed.start(p3, { buffers: weights.buffers, ports: { handshake: before.ports.handshake, tcp: 0 } });
    };
    // Asked for the first time it is the one, while the descriptor is fetched it goes.
    const url = await sglangAt(async () => {
      if (replaced !== undefined) await replaced;
      return { session, tensors };
    });
    let strikes = 0;
    const midRead = (): void => {
      strikes++;
      replaced = replace();
    };
    const result = await pullFrom({ sglang: url }, { connections: 1, sliceBytes: 64, midRead });
    assertArrived(result, bytesOf(weights));
    assert.match(result.notes[0] ?? '', afresh);
    assert.equal(strikes, 1);
  });
});

/** Peers that die while they are read, and peers that are started again at the same port: never a byte of one for a byte of the other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionTensor } from '#src/target/index.js';
import { eventually } from '../../support/eventually.js';
import { MooncakePeer, pattern, versions, whySkip } from '../../support/mooncake/peer.js';
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
  slowly,
  tensorsOf,
  tensorsOfPeer,
  twoFreePorts,
  weightsOf,
  type SglangAnswer,
} from './faults-support.js';
import { host } from './support.js';

const layout = [
  ['small', 1],
  ['large', 24 * 2 ** 20 + 1],
  ['odd', 77_777],
] as const;

interface Started {
  readonly peer: MooncakePeer;
  readonly session: string;
  readonly tensors: readonly SessionTensor[];
  readonly expected: ReadonlyMap<string, Buffer>;
}

/** A Mooncake process that takes its two ports from these on; filled, registered, and up but for its ports. */
async function prepare(version: string, filled: string, port: number): Promise<{ peer: MooncakePeer; placed: Started['tensors'] }> {
  const [first, last] = [String(port), String(port + 1)];
  // Releases before 0.3.11 know the misspelt names only.
  const ports = { MC_MIN_RPC_PORT: first, MC_MAX_RPC_PORT: last, MC_MIN_PRC_PORT: first, MC_MAX_PRC_PORT: last };
  const peer = MooncakePeer.start(version, { MC_FORCE_TCP: '1', ...ports });
  return { peer, placed: tensorsOfPeer(await peer.allocate(layout, { filled })) };
}

/** Up at the session that is asked for, if any. The engine takes its two ports in whichever order: it is started until the order fits. */
async function start(version: string, filled: string, port: number, at?: string): Promise<Started> {
  return eventually(`Mooncake ${version} at ${at ?? String(port)}`, async () => {
    const { peer, placed } = await prepare(version, filled, port);
    const session = await peer.initialize(host);
    if (session !== (at ?? session)) {
      await peer.kill();
      return undefined;
    }
    await peer.register();
    return { peer, session, tensors: placed, expected: expectedAt(placed, filled) };
  });
}

/** The bytes of each tensor of memory that was filled from the first one on. */
function expectedAt(placed: readonly SessionTensor[], filled: string): ReadonlyMap<string, Buffer> {
  const base = placed.reduce((least, { address }) => (address < least ? address : least), 2n ** 64n);
  const all = pattern(filled, 25 * 2 ** 20);
  return new Map(
    placed.map(({ name, address, bytes }) => {
      const offset = Number(address - base);
      return [name, all.subarray(offset, offset + Number(bytes))];
    }),
  );
}

const afresh = /^the source changed, and was asked and read anew: /;

for (const version of versions) {
  describe(`Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('killed while it is read: ERR_PEER_LOST, and nothing of it is held', async () => {
      const port = await twoFreePorts();
      const warm = await start(version, 'warm', port);
      assertArrived(await pullFrom({ session: { id: warm.session, tensors: warm.tensors } }), warm.expected);
      const check = await takeOwnStock();
      const began: { at?: number } = {};
      const midRead = (): void => {
        began.at = performance.now();
        warm.peer.process.kill('SIGKILL');
      };
      const running = pullFrom({ session: { id: warm.session, tensors: warm.tensors } }, { ...slowly, sliceBytes: 1024, midRead });
      const { peer, message } = await failure(running, 'ERR_PEER_LOST');
      assert.equal(peer, warm.session);
      assert.match(message, /failed after \d+ bytes/);
      // The connections break at once; then it is asked, for three seconds at most, whether it has changed.
      assert.ok(performance.now() - (began.at ?? 0) < 8000);
      await check();
    });

    test('started again at the same port between discovery and reading: its new bytes, or an error where nobody says where they are', async () => {
      const port = await twoFreePorts();
      const before = await start(version, 'before', port);
      await before.peer.kill();
      // Nobody has asked it anything yet: else its port would be taken for a minute, since the engine is the one that hangs up.
      const now = await start(version, 'now', port, before.session);
      let asked = 0;
      const url = await sglangAt(() => (asked++ === 0 ? before : now));
      const result = await pullFrom({ sglang: url });
      assertArrived(result, now.expected);
      assert.match(result.notes[0] ?? '', afresh);
      const stale = pullFrom({ session: { id: now.session, tensors: before.tensors } });
      assert.equal((await failure(stale, 'ERR_PROTOCOL', 'ERR_REMOTE_ACCESS', 'ERR_PEER_LOST')).peer, now.session);
    });

    test('killed while it is read, and started again: its new bytes', async () => {
      const before = await start(version, 'before', await twoFreePorts());
      // Where it comes back is known to be free, and so are its bytes: it is soon there.
      const port = await twoFreePorts();
      const { peer, placed } = await prepare(version, 'now', port);
      let coming: Promise<SglangAnswer> | undefined;
      const url = await sglangAt(() => coming ?? before);
      const midRead = (): void => {
        before.peer.process.kill('SIGKILL');
        coming = (async () => {
          const session = await peer.initialize(host);
          await peer.register();
          return { session, tensors: placed };
        })();
      };
      const result = await pullFrom({ sglang: url }, { ...slowly, sliceBytes: 1024, midRead });
      assertArrived(result, expectedAt(placed, 'now'));
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

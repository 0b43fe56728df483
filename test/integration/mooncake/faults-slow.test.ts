/** Peers that answer after four seconds, which is in time, and peers that never do, each of which ends in its own error in its own time. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchDescriptor, openEndpoint, tcpDescriptor, type OpenedEndpoint } from '#src/handshake/index.js';
import { LocalEnd } from '#src/target/local-end.js';
import { eventually } from '../../support/eventually.js';
import { MooncakePeer, pattern, versions, whySkip } from '../../support/mooncake/peer.js';
import { p0, p1, p3 } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedSeed, type SimulatedSeedOptions } from '../../support/mooncake/simulated/seed.js';
import type { Fault } from '../../support/mooncake/simulated/tcp-service.js';
import { messageType, type Message } from '../../support/mooncake/simulated/wire.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';
import {
  assertArrived,
  bytesOf,
  failure,
  pullFrom,
  slowlyFrom,
  stop,
  tensorsOf,
  tensorsOfPeer,
  timed,
  weightsOf,
} from '../../support/mooncake/faults.js';
import { host } from './support.js';

const lateMs = 4000;
/** As documented: how long a reply, or the next byte of an answer, may take, and how long a connection. */
const silenceMs = 10_000;
const connectMs = 5000;
/** What a loaded machine may add. */
const graceMs = 15_000;

const weights = weightsOf(1);
const silence = new Promise<never>(() => undefined);
const devices = [{ name: 'mlx5_0', gid: gidOf(20), lid: 0 }];

function seedOf(profile = p3, options: Partial<SimulatedSeedOptions> = {}): Promise<SimulatedSeed> {
  return SimulatedSeed.start(profile, { buffers: weights.buffers, ...options });
}

function sessionOf(seed: SimulatedSeed): { session: { id: string; tensors: ReturnType<typeof tensorsOf> } } {
  return { session: { id: seed.address, tensors: tensorsOf(weights) } };
}

/** Waits before messages of one type. */
function before(type: number, wait: () => Promise<unknown>): (message: Message) => Promise<void> {
  return async (message) => {
    if (message.type === type) await wait();
  };
}

async function connectRdma(seed: SimulatedSeed): Promise<{ nic: NicDouble; opened: Promise<OpenedEndpoint> }> {
  const nic = new NicDouble('rxe0', gidOf(9));
  const local = await LocalEnd.open(host, [nic]);
  after(() => local.close());
  const peer = await local.fetchPeer(seed.address, 'rdma', undefined);
  const opened = openEndpoint({ nic, localName: local.name, peer, peerAddress: seed.address, remoteDevice: 'mlx5_0', queuePairs: 2 });
  return { nic, opened };
}

/** A real one with memory in which a read has a middle. */
async function realPeer(version: string): Promise<{ peer: MooncakePeer; session: string; tensors: ReturnType<typeof tensorsOfPeer> }> {
  const peer = MooncakePeer.start(version, { MC_FORCE_TCP: '1' });
  const session = await peer.initialize(host);
  const tensors = tensorsOfPeer(await peer.allocate([['all', 24 * 2 ** 20]], { filled: 'slow' }));
  await peer.register();
  return { peer, session, tensors };
}

const expectedOfReal = (): ReadonlyMap<string, Buffer> => new Map([['all', pattern('slow', 24 * 2 ** 20)]]);

/** The newest and the oldest. */
const real = [versions[0], versions.at(-1)].filter((version) => version !== undefined);

function assertIn(ms: number, atLeast: number): void {
  assert.ok(ms >= atLeast - 100 && ms < atLeast + graceMs, `after ${ms.toFixed(0)} ms; documented are ${atLeast}`);
}

// At once: all that they do is wait.
describe('a peer over TCP', { concurrency: true }, () => {
  describe('a peer that answers after four seconds is one that answers', { concurrency: true }, () => {
    for (const profile of [p0, p3]) {
      test(`each Metadata message, as ${profile.name}`, async () => {
        const seed = await seedOf(profile, { beforeReply: before(messageType.metadata, () => sleep(lateMs)) });
        const { value, ms } = await timed(pullFrom(sessionOf(seed)));
        assertArrived(value, bytesOf(weights));
        assert.ok(ms >= lateMs);
      });

      test(`Connection, as ${profile.name}`, async () => {
        const seed = await seedOf(profile, { devices, beforeReply: before(messageType.connection, () => sleep(lateMs)) });
        const { nic, opened } = await connectRdma(seed);
        await opened;
        assert.equal(nic.open.length, 1);
        assert.equal(seed.messages.filter(({ type }) => type === messageType.connection).length, 1, 'asked once');
      });
    }

    for (const profile of [p0, p1, p3]) {
      test(`a read over TCP, the first or one in the middle, as ${profile.name}`, async () => {
        const late =
          (slow: number): Fault =>
          async ({ bytes, number }) => {
            if (number === slow) await sleep(lateMs);
            return { bytes };
          };
        const [first, middle] = await Promise.all([seedOf(profile, { fault: late(0) }), seedOf(profile, { fault: late(7) })]);
        const pulls = [pullFrom(sessionOf(first)), pullFrom(sessionOf(middle), { connections: 1, sliceBytes: 20_000 })];
        for (const result of await Promise.all(pulls)) assertArrived(result, bytesOf(weights));
      });
    }

    for (const version of real) {
      test(
        `a real one that stood still before it was asked, and in the middle, Mooncake ${version}`,
        { skip: whySkip(version) },
        async () => {
          const { peer, session, tensors } = await realPeer(version);
          const goOn = (): void => void setTimeout(() => peer.process.kill('SIGCONT'), lateMs);
          await stop(peer.process);
          goOn();
          const midRead = (): void => {
            peer.process.kill('SIGSTOP');
            goOn();
          };
          const running = pullFrom({ session: { id: session, tensors } }, { ...slowlyFrom(version), midRead });
          assertArrived(await running, expectedOfReal());
        },
      );
    }
  });

  describe('a peer that never answers', { concurrency: true }, () => {
    test(`Metadata: ERR_STALLED after ${silenceMs} ms`, async () => {
      const seed = await seedOf(p3, { beforeReply: () => silence });
      const { value, ms } = await timed(failure(pullFrom(sessionOf(seed)), 'ERR_STALLED'));
      assert.match(value.message, /fetching the segment descriptor of .*: no complete reply within 10000 ms/);
      assert.equal(value.peer, seed.address);
      assertIn(ms, silenceMs);
    });

    test(`Connection: ERR_STALLED after ${silenceMs} ms, and no queue pair is left`, async () => {
      const seed = await seedOf(p3, { devices, beforeReply: before(messageType.connection, () => silence) });
      const { nic, opened } = await connectRdma(seed);
      const { value, ms } = await timed(failure(opened, 'ERR_STALLED'));
      assert.match(value.message, /connecting .*: no complete reply within 10000 ms/);
      assert.equal(nic.endpoints.length, 1, 'not tried with other counts: that would take as long again');
      assert.equal(nic.open.length, 0);
      assertIn(ms, silenceMs);
    });

    for (const profile of [p1, p3]) {
      test(`a read over TCP: ERR_STALLED after ${silenceMs} ms, as ${profile.name}`, async () => {
        const seed = await seedOf(profile, { fault: () => silence });
        const { value, ms } = await timed(failure(pullFrom(sessionOf(seed), { connections: 1 }), 'ERR_STALLED'));
        assert.match(value.message, /no byte came for 10000 ms/);
        assertIn(ms, silenceMs);
      });

      test(`twice as long over connections of which some had nothing to do, not once more for each, as ${profile.name}`, async () => {
        const seed = await seedOf(profile, { fault: () => silence });
        const running = pullFrom(sessionOf(seed), { connections: 16, stallTimeoutMs: 2000 });
        const { ms } = await timed(failure(running, 'ERR_STALLED'));
        assertIn(ms, 4000);
      });

      test(`over one connection of four: the others bring what it did not, as ${profile.name}`, async () => {
        const fault: Fault = ({ bytes, number }) => (number === 3 ? silence : { bytes });
        const seed = await seedOf(profile, { fault });
        const result = await pullFrom(sessionOf(seed), { stallTimeoutMs: 5000, sliceBytes: 20_000 });
        assertArrived(result, bytesOf(weights));
        assert.equal(result.lanes.filter(({ failure: reason }) => reason.includes('no byte came for 5000 ms')).length, 1);
      });
    }

    test('after all bytes were read, whether they are still what they were: ERR_SOURCE_GONE', async () => {
      let questions = 0;
      const wait = async (): Promise<void> => (questions++ === 0 ? undefined : silence);
      const seed = await seedOf(p3, { beforeReply: before(messageType.metadata, wait) });
      const { value, ms } = await timed(failure(pullFrom(sessionOf(seed)), 'ERR_SOURCE_GONE'));
      assert.match(value.message, /nothing vouches for what was read .* no complete reply within 10000 ms/);
      assertIn(ms, silenceMs);
    });

    for (const version of real) {
      test(
        `a real one that was stopped before it was asked, and one in the middle, Mooncake ${version}`,
        { skip: whySkip(version) },
        async () => {
          const [asleep, falling] = await Promise.all([realPeer(version), realPeer(version)]);
          await stop(asleep.peer.process);
          const midRead = (): void => void falling.peer.process.kill('SIGSTOP');
          const [first, second] = await Promise.all([
            timed(failure(pullFrom({ session: { id: asleep.session, tensors: asleep.tensors } }), 'ERR_STALLED')),
            timed(
              failure(
                pullFrom({ session: { id: falling.session, tensors: falling.tensors } }, { ...slowlyFrom(version), midRead }),
                'ERR_STALLED',
              ),
            ),
          ]);
          assert.match(first.value.message, /no complete reply within 10000 ms/);
          assert.match(second.value.message, /failed after \d+ bytes: .*no byte came for 10000 ms/);
          assertIn(first.ms, silenceMs);
          assertIn(second.ms, silenceMs);
        },
      );
    }

    test(`not even a connection: ERR_PEER_LOST after ${connectMs} ms`, { skip: whySkip(versions[0] ?? '') }, async () => {
      // A process that stands still accepts nothing, and its queue of connections is full.
      const { peer, session } = await realPeer(versions[0] ?? '');
      await stop(peer.process);
      const waiting: Socket[] = [];
      after(() => {
        for (const socket of waiting) socket.destroy();
      });
      const port = Number(session.split(':').at(-1));
      await eventually('full queue', async () => {
        const socket = connect({ host, port });
        waiting.push(socket.on('error', () => undefined));
        const connected = new Promise<boolean>((resolve) => socket.on('connect', () => resolve(true)));
        return (await Promise.race([connected, sleep(500).then(() => false)])) ? undefined : true;
      });
      const asked = fetchDescriptor(session, tcpDescriptor({ name: `${host}:1` }));
      const { value, ms } = await timed(failure(asked, 'ERR_PEER_LOST'));
      assert.match(value.message, /no connection within 5000 ms/);
      assertIn(ms, connectMs);
    });
  });
});

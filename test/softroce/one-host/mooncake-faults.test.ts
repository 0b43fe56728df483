/** Faults of Mooncake peers that need real verbs: keys that are others by now, deaths in the middle of a read, numbers of queue pairs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seedTensors } from '#src/seed/index.js';
import type { PullSettings } from '#src/target/index.js';
import { eventually } from '../../support/eventually.js';
import { assertArrived, failure, pullFrom, sglangAt, type SglangAnswer } from '../../support/mooncake/faults.js';
import { MooncakePeer, pattern, thoroughly, whySkip } from '../../support/mooncake/peer.js';
import { environment, ownRdma } from '../../support/mooncake/rdma.js';
import { replace, start, type Spawn } from '../../support/mooncake/restart.js';
import { sentPackets } from '../../support/rdma-resources.js';
import { address } from '../../support/softroce.js';

const host = address(0);
/** Mooncake chooses one of them for itself. */
const rails = ['rxe0', 'rxe1'];
const rdma = { transport: 'rdma', host } as const;
/** Reads that are small and few at a time, so that there is a middle. */
const slowly: Partial<PullSettings> = { ...rdma, sliceBytes: 4096, readsInFlight: 2 };
const nothing = { queuePairs: 0, completionQueues: 0, protectionDomains: 0, memoryRegions: 0 };
const afresh = /^the source changed, and was asked and read anew: /;

for (const version of thoroughly) {
  const spawn: Omit<Spawn, 'filled'> = { version, host, env: environment, megabytes: 8 };
  /** Enough to be in the middle of for a while. */
  const long = { ...spawn, megabytes: 64 };

  describe(`Mooncake ${version}`, { skip: whySkip(version) }, () => {
    test('killed while it is read: ERR_PEER_LOST, and nothing of it is held', async () => {
      const { peer, session: id, tensors } = await start({ ...long, filled: 'killed' });
      let killed = 0;
      const midRead = (): void => {
        killed = performance.now();
        peer.process.kill('SIGKILL');
      };
      const { message } = await failure(pullFrom({ session: { id, tensors } }, { ...slowly, midRead }), 'ERR_PEER_LOST');
      // Retries take 0.6 s; then it has three seconds to say whether it has changed.
      assert.ok(performance.now() - killed < 30_000);
      assert.match(message, /failed after \d+ bytes/);
      await eventually('end of its process', () => peer.process.signalCode ?? undefined);
      assert.deepEqual(ownRdma(), nothing);
    });

    test('registered anew while it is read: other keys for the same addresses, which are read', async () => {
      const { peer, session, tensors, expected } = await start({ ...long, filled: 'anew' });
      let coming: Promise<SglangAnswer> | undefined;
      const url = await sglangAt(() => coming ?? { session, tensors });
      const midRead = (): void => {
        coming = (async () => {
          await peer.call('unregister');
          await peer.register();
          return { session, tensors };
        })();
      };
      const result = await pullFrom({ sglang: url }, { ...slowly, midRead });
      assertArrived(result, expected);
      assert.match(result.notes[0] ?? '', afresh);
      await peer.kill();
      assert.deepEqual(ownRdma(), nothing);
    });

    test('started again at the same port between discovery and reading: its new bytes; an error where nobody says where they are', async () => {
      const before = await start({ ...spawn, filled: 'before' });
      const now = await replace(before, { ...spawn, filled: 'now' });
      let asked = 0;
      const result = await pullFrom({ sglang: await sglangAt(() => (asked++ === 0 ? before : now)) }, rdma);
      assertArrived(result, now.expected);
      assert.match(result.notes[0] ?? '', afresh);
      const stale = pullFrom({ session: { id: now.session, tensors: before.tensors } }, rdma);
      await failure(stale, 'ERR_PROTOCOL', 'ERR_REMOTE_ACCESS');
      await now.peer.kill();
    });

    for (const count of [1, 3, 4]) {
      const found = count !== 3;
      test(`with ${count} queue pairs: ${found ? 'found out' : 'ERR_HANDSHAKE that says what was tried, until it is asked for'}`, async () => {
        const env = { ...environment, MC_NUM_QP_PER_EP: String(count) };
        const { peer, session: id, tensors, expected } = await start({ ...spawn, env, megabytes: 1, filled: 'count' });
        const session = { id, tensors };
        if (found) {
          assertArrived(await pullFrom({ session }, rdma), expected);
        } else {
          const { message } = await failure(pullFrom({ session }, rdma), 'ERR_HANDSHAKE');
          assert.match(message, /tried with 2, (3|1, 4, 8)/);
        }
        assertArrived(await pullFrom({ session }, { ...rdma, queuePairs: count }), expected);
        await peer.kill();
        assert.deepEqual(ownRdma(), nothing);
      });
    }

    test('two pulls at once, while it reads our seed with queue pairs of another number', async () => {
      const bytes = 4 * 2 ** 20;
      const weights = pattern('ours', bytes);
      const { peer, session: id, tensors, expected } = await start({ ...spawn, megabytes: 4, filled: 'theirs' });
      const reader = MooncakePeer.start(version, { ...environment, MC_NUM_QP_PER_EP: '4' });
      await reader.initialize(host);
      await reader.allocate([['ours', bytes]]);
      await reader.register();
      {
        const offer = { identity: { modelName: `faults ${version}` }, ...rdma, sglang: { port: 0 } };
        await using seed = await seedTensors([{ name: 'ours', dtype: 'U8', data: new Uint8Array(weights) }], offer);
        const ours = await addressOf(seed.summary.sglang?.url ?? '');
        const pulls = [pullFrom({ session: { id, tensors } }, rdma), pullFrom({ session: { id, tensors } }, rdma)];
        const [first, second, read] = await Promise.all([pulls[0], pulls[1], reader.read(seed.summary.sessionId, { ours })]);
        assert.ok(first && second);
        for (const result of [first, second]) assertArrived(result, expected);
        assert.equal(read.result, 0, reader.log.slice(-2000));
        assert.deepEqual(await reader.differing({ ours: 0 }, 'ours'), []);
      }
      await Promise.all([peer.kill(), reader.kill()]);
      assert.deepEqual(ownRdma(), nothing);
    });

    test('killed while it reads our seed: others read on, and the end of the seed leaves nothing', async () => {
      const bytes = 32 * 2 ** 20;
      const weights = pattern('ours', bytes);
      const readers = await Promise.all(
        ['victim', 'other'].map(async () => {
          const peer = MooncakePeer.start(version, environment);
          await peer.initialize(host);
          await peer.allocate([['ours', bytes]]);
          await peer.register();
          return peer;
        }),
      );
      const [victim, other] = readers;
      assert.ok(victim && other);
      {
        const offer = { identity: { modelName: `killed ${version}` }, ...rdma, sglang: { port: 0 } };
        await using seed = await seedTensors([{ name: 'ours', dtype: 'U8', data: new Uint8Array(weights) }], offer);
        const ours = await addressOf(seed.summary.sglang?.url ?? '');
        const before = await sentPackets(rails);
        let done = false as boolean;
        const reading = victim.read(seed.summary.sessionId, { ours }).then(
          () => (done = true),
          () => undefined,
        );
        while (!done && (await sentPackets(rails)) < before + 100) await sleep(1);
        await victim.kill();
        await reading;
        assert.ok(!done, 'killed in the middle');
        const { result } = await other.read(seed.summary.sessionId, { ours });
        assert.equal(result, 0, other.log.slice(-2000));
        assert.deepEqual(await other.differing({ ours: 0 }, 'ours'), []);
      }
      await other.kill();
      assert.deepEqual(ownRdma(), nothing);
    });
  });
}

/** Where the only tensor of a seed of ours is, decimal; numbers of that size are beyond what `JSON.parse` has exact. */
async function addressOf(url: string): Promise<string> {
  const text = await (await fetch(`${url}/remote_instance_transfer_engine_info?rank=0`)).text();
  const [, found] = /"ours":\[(\d+),/.exec(text.replaceAll(/\s/g, '')) ?? [];
  assert.ok(found !== undefined, text);
  return found;
}

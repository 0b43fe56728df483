/** Opens that cross each other, and replies to them with numbers that do not fit. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { ErrorCode } from '#src/errors.js';
import { HandshakeListener, openEndpoint, rdmaDescriptor, Responder, type OpenedEndpoint } from '#src/handshake/index.js';
import type { JsonObject, JsonValue } from '#src/handshake/json.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { LocalEnd } from '#src/target/local-end.js';
import { startServer } from '../../support/cluster.js';
import { bytesOf as sizesOf, expected as expectedBytes, offsets, partsOf, publishedSeed, readAll } from '../../support/mooncake/moves.js';
import { versions, whySkip } from '../../support/mooncake/peer.js';
import { profiles } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedReader } from '../../support/mooncake/simulated/reader.js';
import { SimulatedSeed } from '../../support/mooncake/simulated/seed.js';
import { ask, Body, messageType, type Json } from '../../support/mooncake/simulated/wire.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';
import { scriptedPeer } from '../../support/raw-peer.js';
import { shared } from '../target/support.js';
import { assertArrived, bytesOf, failure, pullFrom, tensorsOf, tensorsOfPeer, weightsOf } from '../../support/mooncake/faults.js';
import { host, startPeer } from './support.js';

const server = await startServer();
const weights = weightsOf(1);
const devices = [{ name: 'mlx5_0', gid: gidOf(20), lid: 0 }];

/** A target with a device, and what it takes to connect it. */
async function target(): Promise<{ nic: NicDouble; open: (seed: SimulatedSeed) => Promise<OpenedEndpoint> }> {
  const nic = new NicDouble('rxe0', gidOf(9));
  const local = await LocalEnd.open(host, [nic]);
  after(() => local.close());
  const open = async (seed: SimulatedSeed): Promise<OpenedEndpoint> => {
    const peer = await local.fetchPeer(seed.address, 'rdma', undefined);
    return openEndpoint({ nic, localName: local.name, peer, peerAddress: seed.address, remoteDevice: 'mlx5_0', queuePairs: 2 });
  };
  return { nic, open };
}

describe('at the same time', () => {
  for (const version of new Set([versions[0] ?? '', versions.at(-1) ?? ''])) {
    test(`two pulls of one peer, while it reads our seed, Mooncake ${version}`, { skip: whySkip(version) }, async () => {
      const source = await startPeer(version);
      await source.peer.register();
      const reader = await startPeer(version);
      await reader.peer.register();
      using region = await Region.allocate(BigInt(expectedBytes.length));
      const options = shared(server.address);
      await using seed = await seedTensors([...partsOf(region)], { ...options, workerId: 'own' });
      const offered = await publishedSeed(server.address, seed.sourceId, 'own');
      const session = { id: source.session, tensors: tensorsOfPeer(source.placed) };
      const wanted = new Map(
        Object.entries(offsets).map(([name, offset]) => [name, expectedBytes.subarray(offset, offset + (sizesOf[name] ?? 0))]),
      );
      // The reader's descriptor is asked for as well, while it reads: it offers its own memory under the same session.
      const own = { id: reader.session, tensors: tensorsOfPeer(reader.placed).slice(0, 1) };
      const pulls = [pullFrom({ session }), pullFrom({ session }), pullFrom({ session: own })];
      const [first, second, third] = await Promise.all([...pulls, readAll(reader.peer, offered)]);
      assert.ok(first && second && third);
      for (const result of [first, second]) assertArrived(result, wanted);
      assert.ok(third.output.kind === 'memory');
      third.output.region.close();
    });
  }

  for (const profile of profiles) {
    test(`three targets connect with one device, each gets its own queue pairs, as ${profile.name}`, { timeout: 20_000 }, async () => {
      const seed = await SimulatedSeed.start(profile, { buffers: weights.buffers, devices });
      const targets = await Promise.all([target(), target(), target()]);
      const opened = await Promise.all(targets.map(({ open }) => open(seed)));
      assert.equal(new Set(opened.map(({ localPath }) => localPath)).size, 3);
      const theirs = targets.flatMap(({ nic }) => nic.open.flatMap(({ peer }) => [...(peer?.numbers ?? [])]));
      assert.equal(new Set(theirs).size, 6, 'nobody has the queue pairs of another one');
    });

    test(`the peer opens to us while we open to it, over TCP, as ${profile.name}`, async () => {
      const answers: (Json | undefined)[] = [];
      const seed: SimulatedSeed = await SimulatedSeed.start(profile, {
        buffers: weights.buffers,
        beforeReply: async ({ type, body }) => {
          if (type !== messageType.metadata) return;
          const ours = new Body(body).text('name');
          const connection = { local_nic_path: `${seed.address}@mlx5_0`, peer_nic_path: `${ours}@mlx5_0`, qp_num: [1, 2], reply_msg: '' };
          answers.push(
            ...(await Promise.all([
              ask(ours, messageType.connection, connection),
              ask(ours, messageType.metadata, seed.describe()),
              ask(ours, messageType.notify, { name: 'a', notify_msg: 'b' }),
              ask(ours, messageType.probe, {}),
            ])),
          );
        },
      });
      assertArrived(await pullFrom({ session: { id: seed.address, tensors: tensorsOf(weights) } }), bytesOf(weights));
      const [connection, metadata, notify, probe] = answers;
      assert.match(new Body(connection ?? {}).text('reply_msg'), /only pulls/);
      assert.deepEqual(new Body(metadata ?? {}).list('buffers'), []);
      assert.deepEqual([notify, probe], [{ name: '', notify_msg: 'success' }, { status: 'success' }]);
    });
  }

  for (const profile of profiles) {
    test(`a reader opens twice at once under one path, and its seed has four endpoints at most, as ${profile.name}`, async () => {
      const nic = new NicDouble('mlx5_0', gidOf(4));
      let name = '';
      const responder = new Responder({ serverName: () => name, nics: [nic] });
      const listener = await HandshakeListener.listen({
        host,
        handlers: {
          metadata: (request) => {
            responder.remember(request);
            return rdmaDescriptor({ name, devices });
          },
          connection: (message) => responder.handle(message),
        },
      });
      after(() => listener.close());
      name = `${host}:${listener.port}`;
      const reader = await SimulatedReader.start(profile, { name: 'mlx5_3', gid: gidOf(9), lid: 0 });
      const offer = await reader.open(name);
      const both = await Promise.all([reader.connect(name, offer, 'mlx5_0'), reader.connect(name, offer, 'mlx5_0')]);
      assert.equal(new Set(both.flatMap(({ peerNumbers }) => peerNumbers)).size, 4);
      for (let round = 0; round < 10; round++) await reader.connect(name, offer, 'mlx5_0');
      assert.ok(responder.queuePairs <= 8, String(responder.queuePairs));
      await responder.close();
      assert.equal(nic.open.length, 0);
    });
  }
});

/** An accepting reply to a request, but for these fields. */
function reply(request: JsonObject, changes: JsonObject): JsonObject {
  const numbers = (request['qp_num'] as number[]).map((_, index) => 800 + index);
  return {
    local_nic_path: request['peer_nic_path']!,
    peer_nic_path: request['local_nic_path']!,
    qp_num: numbers,
    reply_msg: '',
    ...changes,
  };
}

describe('a reply to Connection whose queue pair numbers are wrong', () => {
  const many = (count: number): number[] => Array.from({ length: count }, (_, index) => 500 + index);
  const cases: readonly (readonly [
    what: string,
    answer: (request: JsonObject) => JsonValue,
    code: ErrorCode,
    message: RegExp,
    asked: number,
  ])[] = [
    [
      'too few, whatever was asked',
      (request) => reply(request, { qp_num: many((request['qp_num'] as number[]).length - 1) }),
      'ERR_HANDSHAKE',
      /tried with/,
      6,
    ],
    [
      'too many, more each time',
      (request) => reply(request, { qp_num: many((request['qp_num'] as number[]).length + 1) }),
      'ERR_HANDSHAKE',
      /tried with/,
      6,
    ],
    [
      'more than anybody has',
      (request) => reply(request, { qp_num: many(1000) }),
      'ERR_HANDSHAKE',
      /it has 1000 queue pairs and not 2; tried with/,
      4,
    ],
    ['none', (request) => reply(request, { qp_num: [] }), 'ERR_HANDSHAKE', /empty reply without a reason/, 4],
    ['no such field', (request) => ({ ...reply(request, {}), qp_num: null }), 'ERR_HANDSHAKE', /empty reply without a reason/, 4],
    ['null as the whole', () => null, 'ERR_HANDSHAKE', /empty reply without a reason/, 4],
    ['a number that is none of 32 bits', (request) => reply(request, { qp_num: [1, 2 ** 32] }), 'ERR_PROTOCOL', /qp_num/, 1],
    ['a negative number', (request) => reply(request, { qp_num: [1, -1] }), 'ERR_PROTOCOL', /qp_num/, 1],
    ['a string', (request) => reply(request, { qp_num: '1,2' }), 'ERR_PROTOCOL', /qp_num/, 1],
    ['a list as the whole', () => [1, 2], 'ERR_PROTOCOL', /an object/, 1],
    ['a number as the whole', () => 7, 'ERR_PROTOCOL', /an object/, 1],
  ];
  for (const [what, answer, code, message, asked] of cases) {
    test(`${what}: ${code}, after ${asked} tries, and no queue pair is left`, async () => {
      const peer = await scriptedPeer(answer);
      const nic = new NicDouble('rxe0', gidOf(9));
      const descriptor = rdmaDescriptor({ name: peer.address, devices });
      const options = { nic, localName: `${host}:1`, peer: descriptor, peerAddress: peer.address, remoteDevice: 'mlx5_0', queuePairs: 2 };
      const error = await failure(openEndpoint(options), code);
      assert.match(error.message, message);
      assert.equal(error.peer, peer.address);
      assert.equal(peer.requests.length, asked);
      assert.equal(nic.open.length, 0);
    });
  }
});

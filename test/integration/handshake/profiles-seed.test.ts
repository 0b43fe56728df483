/** Targets of ours with seeds of every release: weights over TCP, queue pairs over doubles of devices. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { probe } from '#src/handshake/client.js';
import { openEndpoint, usableDevices, type OpenedEndpoint } from '#src/handshake/index.js';
import { LocalEnd } from '#src/target/local-end.js';
import { pull } from '#src/target/index.js';
import { pattern, startServer } from '../../support/cluster.js';
import { place } from '../../support/mooncake/simulated/memory.js';
import { p0, profiles, type Profile } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedSeed, type SimulatedSeedOptions } from '../../support/mooncake/simulated/seed.js';
import { ask, Body, messageType, type Json } from '../../support/mooncake/simulated/wire.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';
import { publish, shared } from '../target/support.js';

const server = await startServer();

/** Three registered buffers; tensors of a byte, of odd sizes, and of more than one chunk of either side. */
const sizes = [[1, 3, 70_001, 65_536], [8191], [3_000_001, 17, 5]];
const weights = place(
  sizes.map((list, buffer) => list.map((bytes, index) => [`layer.${buffer}.${index}`, pattern(bytes, bytes)] as const)),
);

const devices = [
  { name: 'mlx5_1', gid: gidOf(21), lid: 0 },
  { name: 'mlx5_0', gid: gidOf(20), lid: 6 },
];

function rdmaSeed(profile: Profile, options: Partial<SimulatedSeedOptions> = {}): Promise<SimulatedSeed> {
  return SimulatedSeed.start(profile, { buffers: weights.buffers, devices, ...options });
}

/** A target with devices, as a pull has them. */
async function target(count = 1): Promise<{ nics: NicDouble[]; local: LocalEnd }> {
  const nics = Array.from({ length: count }, (_, index) => new NicDouble(`rxe${index}`, gidOf(9 + index)));
  const local = await LocalEnd.open('127.0.0.1', nics);
  after(() => local.close());
  return { nics, local };
}

async function connect(seed: SimulatedSeed, local: LocalEnd, nic: NicDouble, remoteDevice = 'mlx5_0'): Promise<OpenedEndpoint> {
  const peer = await local.fetchPeer(seed.address, 'rdma', undefined);
  return openEndpoint({ nic, localName: local.name, peer, peerAddress: seed.address, remoteDevice, queuePairs: 2 });
}

for (const profile of profiles) {
  describe(`a seed as ${profile.name}`, () => {
    it('gives its weights over TCP, every byte', async () => {
      const seed = await SimulatedSeed.start(profile, { buffers: weights.buffers });
      const options = shared(server.address);
      const listed = Object.entries(weights.tensors).map(([name, { address, bytes }]) => {
        return { name, addr: BigInt(address), size: BigInt(bytes.length), deviceId: 0, dtype: '' };
      });
      await publish(options, 'mooncake', {
        backendMetadata: { $case: 'transferEngineSessionId', value: seed.address },
        sourcePayload: { $case: 'tensorSource', value: { tensors: listed } },
      });
      const into = Object.entries(weights.tensors).map(([name, { bytes }]) => ({ name, data: new Uint8Array(bytes.length) }));
      const result = await pull({ ...options, into: { kind: 'tensors', tensors: into } });
      assert.deepEqual([result.tensors, result.transport, result.peer], [8, 'tcp', seed.address]);
      for (const { name, data } of into) assert.ok(weights.tensors[name]?.bytes.equals(data), name);
      const { opcodes, rejected } = seed.tcpService;
      assert.deepEqual([...new Set(opcodes)], [profile.tcp.version === 2 ? 0x80 : 0]);
      assert.equal(rejected, 0);
    });

    it('connects queue pairs, and knows our GID', { timeout: 20_000 }, async () => {
      const seed = await rdmaSeed(profile);
      const { nics, local } = await target(3);
      // At once: old seeds ask each of them back while all the others wait in line.
      const opened = await Promise.all(nics.map((nic) => connect(seed, local, nic)));
      assert.equal(seed.endpoints.byPath.size, 3);
      for (const [index, { localPath, remotePath }] of opened.entries()) {
        const nic = nics[index]!;
        const theirs = seed.endpoints.byPath.get(`mlx5_0 <- ${localPath}`)!;
        assert.deepEqual([localPath, remotePath], [`${local.name}@${nic.device}`, `${seed.address}@mlx5_0`]);
        assert.deepEqual([theirs.peerGid, theirs.peerNumbers], [nic.gid, Array.from(nic.endpoints[0]!.numbers)]);
        const { gid, lid, numbers } = nic.endpoints[0]!.peer!;
        assert.deepEqual([gid, lid, Array.from(numbers)], [gidOf(20), 6, theirs.numbers]);
        assert.equal(nic.endpoints[0]!.state, 'RTS');
      }
      await Promise.all(opened.map((each) => each.release()));
      assert.ok(!seed.messages.some(({ body }) => typeof body === 'object' && body !== null && 'ready_ack' in body), 'no confirmations');
    });

    it('gets as many queue pairs as it insists on', async () => {
      for (const queuePairs of [1, 4, 8]) {
        const seed = await rdmaSeed(profile, { queuePairs });
        const { nics, local } = await target();
        await connect(seed, local, nics[0]!);
        assert.equal(nics[0]!.open.length, 1);
        assert.equal(nics[0]!.open[0]?.numbers.length, queuePairs);
      }
      const seed = await rdmaSeed(profile, { queuePairs: 3 });
      const { nics, local } = await target();
      const reason = profile.refusal === 'null' ? 'empty reply without a reason' : 'QP count mismatch';
      await assert.rejects(connect(seed, local, nics[0]!), {
        code: 'ERR_HANDSHAKE',
        message: new RegExp(`${reason}.*tried with 2, 1, 4, 8 queue pairs`),
      });
      assert.equal(nics[0]!.open.length, 0);
    });

    it('is connected anew with new queue pairs, which it starts from the beginning', async () => {
      const seed = await rdmaSeed(profile);
      const { nics, local } = await target();
      const first = await connect(seed, local, nics[0]!);
      const path = `mlx5_0 <- ${first.localPath}`;
      const before = { ...seed.endpoints.byPath.get(path)! };
      await first.release();
      await connect(seed, local, nics[0]!);
      const now = seed.endpoints.byPath.get(path)!;
      assert.notDeepEqual(now.peerNumbers, before.peerNumbers);
      assert.deepEqual(now.peerNumbers, Array.from(nics[0]!.endpoints[1]!.numbers));
      assert.ok(profile.reconnect.other === 'fresh' ? now.numbers[0] !== before.numbers[0] : now.starts === before.starts + 1);
      assert.deepEqual(Array.from(nics[0]!.endpoints[1]!.peer!.numbers), now.numbers);
    });

    it('is addressed by rdma_server_name, and reached where it was opened', async () => {
      const seed = await rdmaSeed(profile, { rdmaServerName: '192.168.77.5:15428' });
      const { nics, local } = await target();
      const { remotePath } = await connect(seed, local, nics[0]!);
      assert.equal(remotePath, '192.168.77.5:15428@mlx5_0');
    });

    it('may open to us while we open to it: it hears that there is nothing to read, and we are connected', async () => {
      let answer: unknown;
      const seed = await rdmaSeed(profile, {
        whileConnecting: async (path) => {
          const own = { local_nic_path: `${seed.address}@mlx5_0`, peer_nic_path: path, qp_num: [5, 6], reply_msg: '' };
          answer = await ask(path.slice(0, path.indexOf('@')), messageType.connection, own);
        },
      });
      const { nics, local } = await target();
      await connect(seed, local, nics[0]!);
      assert.match(new Body(answer as Json).text('reply_msg'), /only pulls/);
      assert.equal(nics[0]!.open.length, 1);
    });

    it('says why it refuses, if it does', async () => {
      const seed = await rdmaSeed(profile, { descriptor: { name: '10.9.9.9:1' } });
      const { nics, local } = await target();
      const reason = profile.refusal === 'null' ? /without a reason/ : /peer nic path inconsistency/;
      await assert.rejects(connect(seed, local, nics[0]!), { code: 'ERR_HANDSHAKE', message: reason });
      assert.equal(nics[0]!.open.length, 0);
    });

    it('answers a probe, or closes', async () => {
      const seed = await rdmaSeed(profile);
      if (profile.probe) await probe(seed.address);
      else await assert.rejects(probe(seed.address), { code: 'ERR_PEER_LOST' });
    });
  });
}

describe('a device that a seed could not open', () => {
  it('is a placeholder of the list, and not used', async () => {
    const broken = { name: 'mlx5_7', gid: `${'00:'.repeat(15)}00`, lid: 0 };
    const keyed = (key: number): object[] =>
      weights.buffers.map(({ address, bytes }) => {
        return { name: 'cpu:0', addr: address, length: bytes.length, rkey: [key, 5, 6], lkey: [key, 5, 6] };
      });
    for (const [names, key] of [
      [['mlx5_1', 'mlx5_0'], 0],
      [['mlx5_1', 'mlx5_0'], 4],
      [['mlx5_7', 'mlx5_1', 'mlx5_0'], 0],
    ] as const) {
      const descriptor = { buffers: keyed(key) as never, priority_matrix: { 'cpu:0': [[...names], []] } };
      const seed = await rdmaSeed(p0, { devices: [broken, ...devices], descriptor });
      const { nics, local } = await target();
      const peer = await local.fetchPeer(seed.address, 'rdma', undefined);
      assert.deepEqual(usableDevices(peer), ['mlx5_1', 'mlx5_0']);
      await assert.rejects(connect(seed, local, nics[0]!, 'mlx5_7'), { code: 'ERR_DEVICE_NOT_FOUND' });
      await connect(seed, local, nics[0]!, 'mlx5_1');
    }
  });
});

/** Readers of every release with seeds of ours: weights over TCP, and over queue pairs and keys of device doubles. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import { Region } from '#src/region.js';
import type { ContentTensor, SeedContent } from '#src/seed/content.js';
import { SeedDataPlane } from '#src/seed/data-plane.js';
import { layOut } from '#src/seed/layout.js';
import { register } from '#src/seed/register.js';
import { pattern } from '../../support/cluster.js';
import type { Offer } from '../../support/mooncake/simulated/offer.js';
import { profiles } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedReader, type Connected } from '../../support/mooncake/simulated/reader.js';
import { ask, Body, messageType } from '../../support/mooncake/simulated/wire.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';

const host = '127.0.0.1';
const readerDevice = { name: 'mlx5_3', gid: gidOf(9), lid: 3 };

interface Weights {
  readonly content: SeedContent;
  /** What each tensor holds. */
  readonly expected: readonly Uint8Array[];
}

/** Tensors one after the other, each at a multiple of `align`. */
async function weightsOf(sizes: readonly number[], align: number, memory: 'owned' | 'adopted' = 'owned'): Promise<Weights> {
  let end = 0;
  const offsets = sizes.map((bytes) => {
    const offset = Math.ceil(end / align) * align;
    end = offset + bytes;
    return offset;
  });
  const region = memory === 'owned' ? await Region.allocate(BigInt(end)) : Region.fromBuffer(new Uint8Array(end));
  after(() => {
    region.close();
  });
  const view = region.view();
  const expected = sizes.map((bytes) => pattern(bytes, bytes));
  for (const [index, bytes] of expected.entries()) view.set(bytes, offsets[index]);
  const tensors = sizes.map((size, index): ContentTensor => {
    const what = { name: `t${index}`, dtype: 'U8', shape: [size], bytes: BigInt(size) };
    return { ...what, region: 0, offset: BigInt(offsets[index] ?? 0), file: -1, fileOffset: 0n };
  });
  return { content: { regions: [region], tensors, weightFiles: [], modelFiles: [], close: () => undefined }, expected };
}

async function seedOf({ content }: Weights, nics: NicDouble[] = []): Promise<SeedDataPlane> {
  const { ranges } = layOut(content, nics, host);
  for (const nic of nics) nic.beforeRegister = () => undefined;
  const registered = nics.length === 0 ? undefined : await register(nics, content, ranges, silentLogger);
  const tcp = nics.length === 0;
  const plane = await SeedDataPlane.open({ host, nics, content, ranges, registered, tcp, local: false, logger: silentLogger });
  after(() => plane.close());
  return plane;
}

function addressOf({ content }: Weights, index: number): number {
  return Number((content.regions[0]?.address ?? 0n) + (content.tensors[index]?.offset ?? 0n));
}

/** What a device does with a read: the key names a registered range, and the queue pairs must be each other's. */
function readRdma(nic: NicDouble, connected: Connected, key: number, address: number, size: number): Uint8Array {
  const same = (a: Iterable<number> | undefined, b: Iterable<number>): boolean => String([...(a ?? [])]) === String([...b]);
  const endpoint = nic.endpoints.find(({ numbers }) => same(numbers, connected.peerNumbers));
  assert.equal(endpoint?.state, 'RTS');
  assert.ok(same(endpoint.peer?.numbers, connected.numbers), 'queue pairs of another reader');
  const range = [...nic.registered].find((each) => each.key === key);
  assert.ok(range !== undefined, `no key ${key}`);
  const offset = BigInt(address) - range.region.address;
  assert.ok(offset >= range.offset && offset + BigInt(size) <= range.offset + range.length, 'remote access error');
  return new Uint8Array(range.region.view(offset, size));
}

const few = await weightsOf([1, 3, 70_001, 65_537, 8191, 3_000_001, 17, 5], 128);
const page = await weightsOf([4096], 64);
const manySizes = Array.from({ length: 14_000 }, (_, index) => 33 + (index % 31));
const many = await weightsOf(manySizes, 64);
const scattered = await weightsOf(
  Array.from({ length: 20_000 }, () => 33),
  64,
  'adopted',
);

for (const profile of profiles) {
  describe(`a reader as ${profile.name}`, () => {
    it('reads our weights over TCP, every byte', async () => {
      const weights = few;
      const seed = await seedOf(weights);
      const reader = await SimulatedReader.start(profile);
      const offer = await reader.open(seed.sessionId);
      assert.deepEqual([offer.protocol, offer.tcp.version, offer.buffers.length], ['tcp', profile.tcp.version, 8]);
      for (const [index, expected] of weights.expected.entries()) {
        const bytes = await reader.readTcp(offer, addressOf(weights, index), expected.length);
        assert.ok(bytes?.equals(expected), `tensor ${index}`);
      }
      const first = addressOf(weights, 0);
      for (const [address, size] of [
        [first, 0],
        [first, 2],
        [first - 1, 1],
        [first, 129],
        [4096, 1],
      ] as const) {
        assert.equal((await reader.readTcp(offer, address, size))?.length ?? 0, 0, `${size} bytes at ${address - first}`);
      }
    });

    it('reads our weights with the keys of each device', async () => {
      const weights = few;
      const nics = [new NicDouble('mlx5_1', gidOf(5)), new NicDouble('mlx5_0', gidOf(4))];
      const seed = await seedOf(weights, nics);
      const reader = await SimulatedReader.start(profile, readerDevice);
      const offer = await reader.open(seed.sessionId);
      assert.equal(offer.protocol, 'rdma');
      for (const [which, nic] of nics.entries()) {
        const connected = await reader.connect(seed.sessionId, offer, nic.device);
        assert.equal(connected.peerGid, nic.gid);
        assert.deepEqual([nic.endpoints[0]?.peer?.gid, nic.endpoints[0]?.peer?.maxReads], [readerDevice.gid, 16]);
        for (const [index, expected] of weights.expected.entries()) {
          const address = addressOf(weights, index);
          const buffer = offer.buffers.find((each) => address >= each.address && address + expected.length <= each.address + each.length);
          const bytes = readRdma(nic, connected, buffer?.keys[which] ?? 0, address, expected.length);
          assert.deepEqual(bytes, expected, `tensor ${index} over ${nic.device}`);
        }
        assert.equal(nic.endpoints.length, 1, 'a confirmation makes no queue pairs');
      }
    });

    it('gets fresh queue pairs when it comes back, with the same numbers or others', async () => {
      const weights = page;
      const nic = new NicDouble('mlx5_0', gidOf(4));
      const seed = await seedOf(weights, [nic]);
      const reader = await SimulatedReader.start(profile, readerDevice);
      const offer = await reader.open(seed.sessionId);
      const first = await reader.connect(seed.sessionId, offer, 'mlx5_0');
      const again = await reader.connect(seed.sessionId, offer, 'mlx5_0', [...first.numbers]);
      const other = await reader.connect(seed.sessionId, offer, 'mlx5_0');
      assert.equal(new Set([first, again, other].flatMap(({ peerNumbers }) => peerNumbers)).size, 6);
      const key = offer.buffers[0]?.keys[0] ?? 0;
      assert.equal(readRdma(nic, other, key, addressOf(weights, 0), 4096).length, 4096);
    });

    it('is asked for its GID when it has not said it', async () => {
      const weights = page;
      const nic = new NicDouble('mlx5_0', gidOf(4));
      const seed = await seedOf(weights, [nic]);
      const offer = await (await SimulatedReader.start(profile, readerDevice)).open(seed.sessionId);
      const reader = await SimulatedReader.start(profile, { ...readerDevice, gid: gidOf(33) });
      await reader.connect(seed.sessionId, offer, 'mlx5_0');
      assert.equal(nic.endpoints[0]?.peer?.gid, gidOf(33));
      assert.equal(reader.questions, profile.saysGid ? 0 : 1);
    });

    it('hears why it is refused', async () => {
      const weights = page;
      const seed = await seedOf(weights, [new NicDouble('mlx5_0', gidOf(4))]);
      const reader = await SimulatedReader.start(profile, readerDevice);
      const offer = await reader.open(seed.sessionId);
      await assert.rejects(reader.connect(seed.sessionId, offer, 'mlx5_9'), /no RDMA device mlx5_9; it has: mlx5_0/);
      await assert.rejects(reader.connect(seed.sessionId, { ...offer, server: '10.0.0.1:1' }, 'mlx5_0'), /nic path inconsistency/);
    });

    it('takes our descriptor of 14 000 tensors, since it is kept within what it reads', async () => {
      const nics = [new NicDouble('mlx5_1', gidOf(5)), new NicDouble('mlx5_0', gidOf(4))];
      const seed: Record<string, Offer> = {};
      seed['tcp'] = await (await SimulatedReader.start(profile)).open((await seedOf(many)).sessionId);
      const overRdma = await SimulatedReader.start(profile, readerDevice);
      seed['rdma'] = await overRdma.open((await seedOf(many, nics)).sessionId);
      assert.equal(seed['tcp'].buffers.length, 14_000);
      assert.ok(seed['rdma'].buffers.length < 14_000);
      // Where each reader would look: one buffer that holds all of the tensor.
      for (const { buffers } of Object.values(seed)) {
        let at = 0;
        for (const [index, size] of manySizes.entries()) {
          const address = addressOf(many, index);
          while (address >= buffers[at]!.address + buffers[at]!.length) at++;
          assert.ok(buffers[at]!.address <= address && address + size <= buffers[at]!.address + buffers[at]!.length);
        }
      }
    });

    it('fails to read a descriptor that could not be kept within, and nothing else does', async () => {
      const seed = await seedOf(scattered);
      assert.match(seed.notes.join(), /MC_HANDSHAKE_MAX_LENGTH=2097152/);
      const reader = await SimulatedReader.start(profile);
      await assert.rejects(reader.open(seed.sessionId), /too long/);
      const notified = await ask(seed.sessionId, messageType.notify, { name: 'a', notify_msg: 'b' });
      assert.equal(new Body(notified ?? null).text('notify_msg'), 'success');
    });
  });
}

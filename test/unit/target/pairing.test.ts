import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DevicePriority, SegmentDescriptor } from '#src/handshake/index.js';
import { pairRails } from '#src/target/pairing.js';
import { subnetBits } from '#src/target/subnet.js';
import { NicDouble } from '../../support/nic-double.js';

/** RoCE v2, of an IPv4 address. */
function gidAt(address: string): string {
  const pairs = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `00:00:00:00:00:00:00:00:00:00:ff:ff:${pairs.join(':')}`;
}

type Matrix = Readonly<Record<string, DevicePriority>>;

/** @param devices address by name. @param bytes by location. */
function seedOf(devices: Readonly<Record<string, string>>, bytes: Readonly<Record<string, bigint>>, matrix: Matrix): SegmentDescriptor {
  const names = Object.entries(devices);
  return {
    ...{ name: '10.0.0.9:1', protocol: 'rdma', tcpDataPort: 0, tcpProtoVersion: 1 },
    devices: names.map(([name, address]) => ({ name, gid: gidAt(address), lid: 0 })),
    buffers: Object.entries(bytes).map(([location, length]) => ({
      ...{ location, address: 4096n, length, readable: true, remoteKeys: names.map((_, index) => index + 1) },
    })),
    priorityMatrix: new Map(Object.entries(matrix)),
  };
}

/** `mlx5_0>mlx5_2`; in /24 subnets. */
function pairsOf(locals: Readonly<Record<string, string>>, seed: SegmentDescriptor): string[] {
  const nics = Object.entries(locals).map(([name, address]) => new NicDouble(name, gidAt(address)));
  return pairRails(nics, seed, () => 96 + 24).map(({ nic, remoteDevice, remoteIndex }) => {
    assert.equal(seed.devices[remoteIndex]?.name, remoteDevice);
    return `${nic.device}>${remoteDevice}`;
  });
}

const flat = { mlx5_0: '10.0.0.8', mlx5_1: '10.0.0.9', mlx5_2: '10.0.0.10', mlx5_3: '10.0.0.11' };
const all = Object.keys(flat);
const alike: Matrix = { 'cpu:0': { preferred: all, others: [] } };
const only = (name: string): DevicePriority => ({ preferred: [name], others: all.filter((other) => other !== name) });

describe('the NICs that read from each other', () => {
  it('on one subnet: one of ours reads from the one that the seed prefers for its memory', () => {
    const matrix = { 'cuda:2': only('mlx5_2') };
    assert.deepEqual(pairsOf({ mlx5_0: '10.0.0.8' }, seedOf(flat, { 'cuda:2': 64n }, matrix)), ['mlx5_0>mlx5_2']);
  });

  it('of several places, that of most bytes counts', () => {
    const matrix = { 'cuda:1': only('mlx5_1'), 'cuda:3': only('mlx5_3') };
    assert.deepEqual(pairsOf({ mlx5_0: '10.0.0.1' }, seedOf(flat, { 'cuda:1': 64n, 'cuda:3': 65n }, matrix)), ['mlx5_0>mlx5_3']);
    assert.deepEqual(pairsOf({ mlx5_0: '10.0.0.1', mlx5_9: '10.0.0.2' }, seedOf(flat, { 'cuda:1': 66n, 'cuda:3': 65n }, matrix)).sort(), [
      'mlx5_0>mlx5_1',
      'mlx5_9>mlx5_3',
    ]);
  });

  it('stay in their subnet, whatever the seed prefers in another', () => {
    const rails = { mlx5_0: '10.0.0.9', mlx5_1: '10.0.1.9' };
    const seed = seedOf(rails, { 'cuda:0': 64n }, { 'cuda:0': { preferred: ['mlx5_0'], others: ['mlx5_1'] } });
    assert.deepEqual(pairsOf({ mlx5_7: '10.0.1.5' }, seed), ['mlx5_7>mlx5_1']);
    assert.deepEqual(pairsOf({ mlx5_7: '192.168.0.5' }, seed), ['mlx5_7>mlx5_0'], 'in neither: what the seed prefers');
  });

  it('with no preference: the longest common prefix, then equal names, then order', () => {
    const seed = seedOf(flat, { 'cpu:0': 64n }, alike);
    assert.deepEqual(pairsOf({ mlx5_0: '10.0.0.11', mlx5_1: '10.0.0.8' }, seed), ['mlx5_0>mlx5_3', 'mlx5_1>mlx5_0']);
    assert.deepEqual(pairsOf({ mlx5_1: '10.0.1.1' }, seed), ['mlx5_1>mlx5_1']);
    assert.deepEqual(pairsOf({ rxe0: '10.0.1.1' }, seed), ['rxe0>mlx5_0']);
  });
});

describe('the subnet of a GID', () => {
  const entry = { address: '10.2.3.4', netmask: '255.255.255.192', family: 'IPv4', mac: '', internal: false, cidr: '10.2.3.4/26' } as const;

  it('is what the interface of its IPv4 address says, else the usual', () => {
    assert.equal(subnetBits(gidAt('10.2.3.4'), { eth0: [entry] }), 122);
    assert.equal(subnetBits(gidAt('10.2.3.5'), { eth0: [entry] }), 120);
    assert.equal(subnetBits('fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:01', { eth0: [entry] }), 64);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeDescriptor, peerReadLimit } from '#src/handshake/index.js';
import type { SeedContent } from '#src/seed/content.js';
import { layOut } from '#src/seed/layout.js';
import { descriptorsOf } from '#src/seed/manifest.js';
import { describeSegment, locationOf } from '#src/seed/segment.js';
import type { Region } from '#src/region.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';

/** A region as far as its place goes. */
function regionOn(ordinal: number | undefined, address: bigint): Region {
  const device = ordinal === undefined ? undefined : ({ kind: 'cuda', ordinal } as const);
  const kind = ordinal === undefined ? 'anonymous' : 'device';
  return { address, byteLength: 1n << 40n, handle: { kind, device } } as unknown as Region;
}

const nics = [new NicDouble('mlx5_0', gidOf(1)), new NicDouble('mlx5_1', gidOf(2))];

describe('the segment of a seed', () => {
  it('says of which accelerator a buffer is, with a row for each in the matrix, all in the order of the devices', () => {
    const regions = [regionOn(undefined, 4096n), regionOn(0, 1n << 46n), regionOn(3, 1n << 47n)];
    const buffers = regions.map((region) => ({ location: locationOf(region), address: region.address, length: 64n, remoteKeys: [1, 2] }));
    const { buffers: listed, priorityMatrix } = describeSegment({ name: '10.0.0.5:15428', nics, buffers, tcpDataPort: 0 });
    assert.deepEqual(
      listed.map(({ location }) => location),
      ['cpu:0', 'cuda:0', 'cuda:3'],
    );
    const row = { preferred: ['mlx5_0', 'mlx5_1'], others: [] };
    assert.deepEqual(Object.fromEntries(priorityMatrix), { 'cpu:0': row, 'cuda:0': row, 'cuda:3': row });
  });

  it('of an accelerator alone has no row of the host', () => {
    const buffers = [{ location: 'cuda:1', address: 4096n, length: 64n, remoteKeys: [1, 2] }];
    const { priorityMatrix } = describeSegment({ name: '10.0.0.5:15428', nics, buffers, tcpDataPort: 0 });
    assert.deepEqual([...priorityMatrix.keys()], ['cuda:1']);
  });

  it("stays below what peers read, and neighbours of an accelerator are not merged: what is between them is its owner's", () => {
    const many = 12_000;
    const tensors = Array.from({ length: many }, (_, index) => ({
      ...{ name: `t${String(index)}`, dtype: 'U8', shape: [64], bytes: 64n, file: -1, fileOffset: 0n },
      ...{ region: index % 2, offset: BigInt(index) * 1_000_000n },
    }));
    const content = (regions: Region[]): SeedContent => ({ regions, tensors, weightFiles: [], modelFiles: [], close: () => undefined });
    const host = layOut(content([regionOn(undefined, 1n << 46n), regionOn(undefined, 1n << 47n)]), nics, '10.0.0.5');
    assert.ok(host.ranges.length < many && host.note !== '', 'of the host they are');
    const mixed = layOut(content([regionOn(undefined, 1n << 46n), regionOn(0, 1n << 47n)]), nics, '10.0.0.5');
    assert.equal(mixed.ranges.filter(({ region }) => region === 1).length, many / 2);
    const buffers = mixed.ranges.map(({ region, offset, length }) => ({
      ...{ location: region === 0 ? 'cpu:0' : 'cuda:0', address: (1n << BigInt(46 + region)) + offset, length },
      remoteKeys: [0xffff_ffff, 0xffff_ffff],
    }));
    const { frameBytes } = encodeDescriptor(describeSegment({ name: '10.0.0.5:65535', nics, buffers, tcpDataPort: 65_535 }));
    assert.ok(frameBytes <= peerReadLimit, String(frameBytes));
  });
});

describe('the record of a seed', () => {
  it("has the accelerator's number with each tensor", () => {
    const regions = [regionOn(undefined, 4096n), regionOn(3, 1n << 46n)];
    const tensor = { dtype: 'U8', shape: [64], bytes: 64n, offset: 0n, file: -1, fileOffset: 0n };
    const tensors = [
      { ...tensor, name: 'on the host', region: 0 },
      { ...tensor, name: 'on the accelerator', region: 1 },
      { ...tensor, name: 'nowhere', region: 1, bytes: 0n, shape: [0] },
    ];
    const listed = descriptorsOf({ regions, tensors, weightFiles: [], modelFiles: [], close: () => undefined });
    assert.deepEqual(
      listed.map(({ deviceId, addr }) => [deviceId, addr]),
      [
        [0, 4096n],
        [3, 1n << 46n],
        [0, 0n],
      ],
    );
  });
});

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Rails } from '#src/rails.js';
import type { Region } from '#src/region.js';
import { arrange, type Arranged } from '#src/seed/arrange.js';
import type { SeedContent } from '#src/seed/content.js';
import { describeSegment, locationOf } from '#src/seed/segment.js';
import { readAffinity } from '#src/topology/index.js';
import { gidOf, NicDouble } from '../../support/nic-double.js';
import { dgx } from '../topology/trees.js';

/** A region as far as its place goes: of an accelerator, or of the host. */
function regionOn(ordinal: number | undefined): Region {
  return { handle: { device: ordinal === undefined ? undefined : { kind: 'cuda', ordinal } } } as unknown as Region;
}

/** One tensor a region; the last region has none that has bytes. */
function contentOn(...ordinals: (number | undefined)[]): Pick<SeedContent, 'regions' | 'tensors'> {
  const tensors = ordinals.map((_, region) => ({
    ...{ name: `t${String(region)}`, dtype: 'U8', shape: [64], bytes: 64n },
    region,
    offset: 0n,
  }));
  const empty = { name: 'empty', dtype: 'U8', shape: [0], bytes: 0n, region: ordinals.length, offset: 0n };
  const files = { file: -1, fileOffset: 0n };
  return { regions: [...ordinals, 7].map(regionOn), tensors: [...tensors, empty].map((tensor) => ({ ...tensor, ...files })) };
}

describe('the NICs of a seed', () => {
  const { tree, accelerators, nics } = dgx();
  after(() => {
    tree.remove();
  });
  const named = nics.slice(0, 4).map((name, index) => new NicDouble(name, gidOf(index + 1)));
  const rails: Rails = {
    nics: named,
    ports: named.map(({ device }, index) => ({ device, port: index + 1 })),
    softwareDevices: [],
    reason: '',
  };
  const arranged = (content: ReturnType<typeof contentOn>): Promise<Arranged> =>
    arrange(rails, content, (names) => readAffinity(names, accelerators, tree.root));
  const orderOf = ({ rails: { nics: ordered } }: Arranged): string[] => ordered.map(({ device }) => device);

  it('of one accelerator begin with the nearest, which peers are told to prefer', async () => {
    const content = contentOn(2);
    const result = await arranged(content);
    assert.deepEqual(orderOf(result), ['mlx5_2', 'mlx5_0', 'mlx5_1', 'mlx5_3']);
    assert.deepEqual(
      result.rails.ports.map(({ port }) => port),
      [3, 1, 2, 4],
      'ports go with them',
    );
    const buffers = [{ location: locationOf(content.regions[0]), address: 4096n, length: 64n, remoteKeys: [1, 2, 3, 4] }];
    const { devices, priorityMatrix } = describeSegment({
      ...{ name: '10.0.0.5:15428', nics: result.rails.nics, buffers, tcpDataPort: 0, preferred: result.preferred },
    });
    assert.deepEqual(
      devices.map(({ name }) => name),
      orderOf(result),
    );
    assert.deepEqual(Object.fromEntries(priorityMatrix), { 'cuda:2': { preferred: ['mlx5_2'], others: ['mlx5_0', 'mlx5_1', 'mlx5_3'] } });
  });

  it('of several are in the order of the row that readers meet first; the host prefers all', async () => {
    const content = contentOn(undefined, 0, 1, 3);
    const result = await arranged(content);
    assert.deepEqual(orderOf(result), ['mlx5_3', 'mlx5_0', 'mlx5_1', 'mlx5_2']);
    const buffers = content.regions.slice(0, 4).map((region, index) => ({
      ...{ location: locationOf(region), address: BigInt(4096 * (index + 1)), length: 64n, remoteKeys: [1, 2, 3, 4] },
    }));
    const { priorityMatrix } = describeSegment({
      ...{ name: '10.0.0.5:15428', nics: result.rails.nics, buffers, tcpDataPort: 0, preferred: result.preferred },
    });
    assert.deepEqual(Object.fromEntries(priorityMatrix), {
      'cpu:0': { preferred: ['mlx5_3', 'mlx5_0', 'mlx5_1', 'mlx5_2'], others: [] },
      'cuda:0': { preferred: ['mlx5_0'], others: ['mlx5_3', 'mlx5_1', 'mlx5_2'] },
      'cuda:1': { preferred: ['mlx5_1'], others: ['mlx5_3', 'mlx5_0', 'mlx5_2'] },
      'cuda:3': { preferred: ['mlx5_3'], others: ['mlx5_0', 'mlx5_1', 'mlx5_2'] },
    });
  });

  it('of the host alone stay as they are, and nobody asks where accelerators are', async () => {
    const result = await arrange(rails, contentOn(undefined), () => Promise.reject(new Error('asked')));
    assert.equal(result.rails, rails);
    assert.equal(result.preferred.size, 0);
  });
});

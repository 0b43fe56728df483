import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { distanceOf, nearestTo, readAffinity } from '#src/topology/index.js';
import { dgx, Tree } from './trees.js';

describe('eight GPUs and nine NICs under switches of two levels, on two NUMA nodes', async () => {
  const { tree, accelerators, nics } = dgx();
  after(() => {
    tree.remove();
  });
  const affinity = await readAffinity(nics, accelerators, tree.root);
  const row = (name: string): readonly string[] => affinity.accelerators.find(({ accelerator }) => accelerator === name)?.distances ?? [];

  it('classes are those of nvidia-smi topo', () => {
    assert.deepEqual(row('cuda:0'), ['PIX', 'PXB', 'NODE', 'NODE', 'SYS', 'SYS', 'SYS', 'SYS', 'PHB']);
    assert.deepEqual(row('cuda:5'), ['SYS', 'SYS', 'SYS', 'SYS', 'PXB', 'PIX', 'NODE', 'NODE', 'SYS']);
  });

  it('each GPU has one nearest NIC, of its own lower switch', () => {
    for (const { ordinal } of accelerators) {
      assert.deepEqual(nearestTo(`cuda:${String(ordinal)}`, affinity), [`mlx5_${String(ordinal)}`]);
    }
  });

  it('without that NIC it is the one of the neighbouring switch, then that of the host bridge, then those of the node', async () => {
    const without = async (...gone: string[]): Promise<string[]> => {
      const rest = nics.filter((name) => !gone.includes(name));
      return nearestTo('cuda:0', await readAffinity(rest, accelerators, tree.root));
    };
    assert.deepEqual(await without('mlx5_0'), ['mlx5_1']);
    assert.deepEqual(await without('mlx5_0', 'mlx5_1'), ['mlx5_8']);
    assert.deepEqual(await without('mlx5_0', 'mlx5_1', 'mlx5_8'), ['mlx5_2', 'mlx5_3']);
    assert.deepEqual(await without('mlx5_0', 'mlx5_1', 'mlx5_8', 'mlx5_2', 'mlx5_3'), ['mlx5_4', 'mlx5_5', 'mlx5_6', 'mlx5_7']);
  });

  it('addresses are the same in capitals, and nothing is known of what is not there', async () => {
    const shouted = accelerators.map((each) => ({ ...each, pciAddress: each.pciAddress.toUpperCase() }));
    assert.deepEqual(await readAffinity(nics, shouted, tree.root), affinity);
    assert.equal(distanceOf('mlx5_9', 'cuda:0', affinity), 'unknown');
    assert.equal(distanceOf('mlx5_0', 'cuda:8', affinity), 'unknown');
    assert.deepEqual(nearestTo('cuda:8', affinity), nics);
  });
});

describe('other machines', () => {
  const trees: Tree[] = [];
  after(() => {
    for (const tree of trees) tree.remove();
  });
  const made = (nodes: number): Tree => {
    const tree = new Tree(nodes);
    trees.push(tree);
    return tree;
  };
  const cuda = (pciAddress: string): { kind: 'cuda'; ordinal: number; pciAddress: string } => ({ kind: 'cuda', ordinal: 0, pciAddress });
  const classes = async (tree: Tree, nics: string[], pciAddress: string): Promise<readonly string[]> =>
    (await readAffinity(nics, [cuda(pciAddress)], tree.root)).accelerators[0]?.distances ?? [];

  it('a virtual machine with all devices on its root bus: all equal', async () => {
    const tree = made(1);
    const gpu = tree.pci('pci0000:00/0000:00:05.0', -1);
    tree.nic('mlx5_0', 'pci0000:00/0000:00:06.0', -1);
    tree.nic('mlx5_1', 'pci0000:00/0000:00:07.0', -1);
    assert.deepEqual(await classes(tree, ['mlx5_0', 'mlx5_1'], gpu), ['PHB', 'PHB']);
  });

  it('one host bridge a device, as hypervisors and Grace Hopper have: by the NUMA node; what lies above the bridges is no matter', async () => {
    const tree = made(2);
    const above = 'LNXSYSTM:00/ACPI0004:00/VMBUS:01';
    const gpu = tree.pci(`${above}/0a1b/pci0001:00/0001:00:00.0`, 0);
    tree.nic('mlx5_0', `${above}/0a1c/pci0101:00/0101:00:02.0`, 0);
    tree.nic('mlx5_1', `${above}/0a1d/pci0102:00/0102:00:02.0`, 1);
    tree.nic('mlx5_2', `${above}/0a1e/pci0103:00/0103:00:02.0`, -1);
    assert.deepEqual(await classes(tree, ['mlx5_0', 'mlx5_1', 'mlx5_2'], gpu), ['NODE', 'SYS', 'unknown']);
  });

  it('firmware that says no NUMA node means the only one, where there is one', async () => {
    const tree = made(1);
    const gpu = tree.pci('pci0000:00/0000:00:01.0/0000:01:00.0', -1);
    tree.nic('mlx5_0', 'pci0000:80/0000:80:01.0/0000:81:00.0', undefined);
    assert.deepEqual(await classes(tree, ['mlx5_0'], gpu), ['NODE']);
  });

  it('functions of one device, and parts of a function, are as near as can be', async () => {
    const tree = made(1);
    const gpu = tree.pci('pci0000:00/0000:00:01.0/0000:01:00.0', 0);
    tree.nic('mlx5_0', 'pci0000:00/0000:00:01.0/0000:01:00.1', 0);
    tree.nic('mlx5_1', 'pci0000:00/0000:00:01.0/0000:01:00.2', 0, 'mlx5_core.sf.4');
    assert.deepEqual(await classes(tree, ['mlx5_0', 'mlx5_1'], gpu), ['PIX', 'PIX']);
  });

  it('software devices have no place, and are all equal', async () => {
    const tree = made(2);
    const gpu = tree.pci('pci0000:00/0000:00:01.0/0000:01:00.0', 0);
    tree.virtualNic('rxe0');
    tree.virtualNic('rxe1');
    const affinity = await readAffinity(['rxe0', 'rxe1', 'rxe0'], [cuda(gpu)], tree.root);
    assert.deepEqual(affinity, { nics: ['rxe0', 'rxe1'], accelerators: [{ accelerator: 'cuda:0', distances: ['unknown', 'unknown'] }] });
    assert.deepEqual(nearestTo('cuda:0', affinity), ['rxe0', 'rxe1']);
  });

  it('what is not known is not left out for what is on another node, but for what is nearer', async () => {
    const tree = made(2);
    const gpu = tree.pci('pci0000:00/0000:00:01.0/0000:01:00.0', 0);
    tree.virtualNic('rxe0');
    tree.nic('mlx5_0', 'pci0000:80/0000:80:01.0/0000:81:00.0', 1);
    tree.nic('mlx5_1', 'pci0000:40/0000:40:01.0/0000:41:00.0', 0);
    assert.deepEqual(nearestTo('cuda:0', await readAffinity(['rxe0', 'mlx5_0'], [cuda(gpu)], tree.root)), ['rxe0', 'mlx5_0']);
    assert.deepEqual(nearestTo('cuda:0', await readAffinity(['rxe0', 'mlx5_0', 'mlx5_1'], [cuda(gpu)], tree.root)), ['mlx5_1']);
  });

  it('a machine without these directories, and an accelerator without an address', async () => {
    const tree = made(0);
    assert.deepEqual(await classes(tree, ['mlx5_0'], '0000:17:00.0'), ['unknown']);
    tree.nic('mlx5_0', 'pci0000:00/0000:00:01.0/0000:01:00.0', 0);
    assert.deepEqual(await classes(tree, ['mlx5_0'], ''), ['unknown']);
  });
});

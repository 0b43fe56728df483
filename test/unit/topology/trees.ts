/** Trees of sysfs as machines show them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

export class Tree {
  readonly root = mkdtempSync(join(tmpdir(), 'weightcast-sysfs-'));

  constructor(nodes: number) {
    for (let node = 0; node < nodes; node++) mkdirSync(join(this.root, `sys/devices/system/node/node${String(node)}`), { recursive: true });
  }

  /** @param path below /sys/devices, the device last; a numaNode of `undefined` leaves the file out. */
  pci(path: string, numaNode: number | undefined): string {
    const directory = join(this.root, 'sys/devices', path);
    mkdirSync(directory, { recursive: true });
    if (numaNode !== undefined) writeFileSync(join(directory, 'numa_node'), `${String(numaNode)}\n`);
    const address = path.slice(path.lastIndexOf('/') + 1);
    this.#link(join(this.root, 'sys/bus/pci/devices', address), directory);
    return address;
  }

  /** @param below of the device's directory: the part of it that is the RDMA device's parent. */
  nic(name: string, path: string, numaNode: number | undefined, below = ''): void {
    this.pci(path, numaNode);
    const parent = join(this.root, 'sys/devices', path, below);
    const own = join(parent, 'infiniband', name);
    mkdirSync(own, { recursive: true });
    this.#link(join(own, 'device'), parent);
    this.#link(join(this.root, 'sys/class/infiniband', name), own);
  }

  /** rxe, siw: no parent. */
  virtualNic(name: string): void {
    const own = join(this.root, 'sys/devices/virtual/infiniband', name);
    mkdirSync(own, { recursive: true });
    this.#link(join(this.root, 'sys/class/infiniband', name), own);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #link(at: string, target: string): void {
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(relative(dirname(at), target), at);
  }
}

export interface Accelerator {
  readonly kind: 'cuda';
  readonly ordinal: number;
  readonly pciAddress: string;
}

/**
 * Eight GPUs and eight NICs as in a DGX: four host bridges, two a NUMA node; under each one root port with a switch of two levels, of which each
 * of the two lower switches has a GPU and a NIC. And one NIC on a root port of its own, at the first bridge.
 */
export function dgx(): { tree: Tree; accelerators: Accelerator[]; nics: string[] } {
  const tree = new Tree(2);
  const accelerators: Accelerator[] = [];
  const nics: string[] = [];
  for (let index = 0; index < 8; index++) {
    const bridge = Math.floor(index / 2);
    const [bus, lower] = [`${String(bridge)}0`, index % 2 === 0 ? 3 : 7];
    const at = (offset: number): string => (Number.parseInt(bus, 16) + offset).toString(16).padStart(2, '0');
    const upper = `pci0000:${bus}/0000:${bus}:01.0/0000:${at(1)}:00.0/0000:${at(2)}:0${String(index % 2)}.0/0000:${at(lower)}:00.0`;
    const numaNode = Math.floor(bridge / 2);
    const pciAddress = tree.pci(`${upper}/0000:${at(lower + 1)}:00.0/0000:${at(lower + 2)}:00.0`, numaNode);
    accelerators.push({ kind: 'cuda', ordinal: index, pciAddress });
    nics.push(`mlx5_${String(index)}`);
    tree.nic(`mlx5_${String(index)}`, `${upper}/0000:${at(lower + 1)}:01.0/0000:${at(lower + 3)}:00.0`, numaNode);
  }
  tree.nic('mlx5_8', 'pci0000:00/0000:00:02.0/0000:0f:00.0', 0);
  return { tree, accelerators, nics: [...nics, 'mlx5_8'] };
}

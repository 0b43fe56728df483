/** What the kernel offers for RDMA, read from its file systems. `root` is `/`, or a tree made by a test. */
import { access, constants, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface KernelRdma {
  /** Names in /sys/class/infiniband. */
  readonly devices: readonly string[];
  /** Loaded modules that have to do with RDMA; those built into the kernel are among them when they have parameters. */
  readonly modules: readonly string[];
  /** The character devices that libibverbs opens, and whether this process may. */
  readonly nodes: readonly { readonly path: string; readonly usable: boolean }[];
  /** What is missing and what to do; `''` when nothing is. */
  readonly hint: string;
}

const modulePattern = /^(ib_|rdma_|iw_|mlx[45]_|mlx[45]$|irdma|bnxt_re|hns_roce|efa|siw|qedr|erdma|nvidia_peermem|nv_peer_mem)/;

export async function readKernelRdma(root = '/'): Promise<KernelRdma> {
  const devices = await list(join(root, 'sys/class/infiniband'));
  const modules = (await list(join(root, 'sys/module')))?.filter((name) => modulePattern.test(name)) ?? [];
  const names = (await list(join(root, 'dev/infiniband')))?.filter((name) => name.startsWith('uverbs')) ?? [];
  const nodes = await Promise.all(
    names.map(async (name) => ({
      path: `/dev/infiniband/${name}`,
      usable: await access(join(root, 'dev/infiniband', name), constants.R_OK | constants.W_OK).then(
        () => true,
        () => false,
      ),
    })),
  );
  return { devices: devices ?? [], modules, nodes, hint: hintOf(devices, modules, nodes) };
}

function hintOf(devices: readonly string[] | undefined, modules: readonly string[], nodes: KernelRdma['nodes']): string {
  if (devices === undefined) {
    return 'the kernel has no RDMA subsystem loaded; "modprobe ib_uverbs" loads it, unless the kernel was built without it';
  }
  if (devices.length === 0) {
    return 'there is no RDMA device; a driver binds to hardware, and "rdma link add rxe0 type rxe netdev NAME" makes a software one';
  }
  if (nodes.length === 0) {
    const uverbs = modules.includes('ib_uverbs');
    return uverbs
      ? '/dev/infiniband has no uverbs device; in a container, give it --device=/dev/infiniband'
      : 'ib_uverbs is not loaded: "modprobe ib_uverbs"';
  }
  const closed = nodes.filter((node) => !node.usable).map((node) => node.path);
  return closed.length === 0 ? '' : `this user may not open ${closed.join(', ')}`;
}

async function list(directory: string): Promise<string[] | undefined> {
  try {
    return (await readdir(directory)).sort();
  } catch {
    return undefined;
  }
}

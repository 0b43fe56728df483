/** Where devices are attached, as the kernel shows it. `root` is `/`, or a tree made by a test. */
import { readFile, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Where a PCI device is. */
export interface Place {
  /** From the host bridge (`pci0000:00`) down, bridge by bridge, to the device itself (`0000:17:00.0`). */
  readonly path: readonly string[];
  /** -1 when unknown. */
  readonly numaNode: number;
}

/** Of an RDMA device, by its name; `undefined` for one that is no PCI device (rxe, siw) or is not there. */
export function rdmaPlace(device: string, root = '/'): Promise<Place | undefined> {
  return placeOf(join(root, 'sys/class/infiniband', device, 'device'), root);
}

/** Of a PCI device, by its address, `0000:17:00.0`; `undefined` for one that is not there. */
export function pciPlace(address: string, root = '/'): Promise<Place | undefined> {
  return address === '' ? Promise.resolve(undefined) : placeOf(join(root, 'sys/bus/pci/devices', address.toLowerCase()), root);
}

const hostBridge = /^pci[0-9a-f]{4,}:[0-9a-f]{2}$/;
const pciDevice = /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** What lies above the first host bridge (a platform, a hypervisor's bus) and below the device (a part of it) says nothing of distances. */
async function placeOf(link: string, root: string): Promise<Place | undefined> {
  let directory: string;
  try {
    directory = await realpath(link);
  } catch {
    return undefined;
  }
  while (directory !== '/' && !pciDevice.test(nameOf(directory))) directory = dirname(directory);
  const names = directory.split('/');
  const first = names.findIndex((name) => hostBridge.test(name));
  if (first < 0) return undefined;
  return { path: names.slice(first), numaNode: await numaNodeOf(directory, root) };
}

/** Firmware need not say; where there is one node, it is that. */
async function numaNodeOf(directory: string, root: string): Promise<number> {
  const text = await readFile(join(directory, 'numa_node'), 'utf8').catch(() => '');
  if (/^\d+\s*$/.test(text)) return Number(text);
  const nodes = (await readdir(join(root, 'sys/devices/system/node')).catch(() => [])).filter((name) => /^node\d+$/.test(name));
  return nodes.length === 1 ? Number(nodes[0]?.slice('node'.length)) : -1;
}

function nameOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}

/** What `doctor` says of accelerators, as rows. */
import { deviceName } from '../../device/device.js';
import { formatBytes, formatTable } from '../format.js';
import type { Affinity } from '../../topology/index.js';
import type { AcceleratorReport, AcceleratorWay } from './accelerators.js';

/** @param seen what the kernel shows of them. */
export function acceleratorRows(report: AcceleratorReport | undefined, seen: readonly string[]): string[][] {
  const kernel = seen.length === 0 ? [] : [['  kernel', seen.join(', ')]];
  if (report === undefined) return [['accelerators', 'unknown without the addon'], ...kernel];
  const { accelerators, drivers, peerMemory } = report;
  const none = [['accelerators', 'none that can be used: weights go into host memory only']];
  return [
    ...(accelerators.length === 0 ? none : accelerators.flatMap((each, index) => rowsOf(each, report.ways[index]))),
    ...drivers.map(({ kind, path, version, reason }) => {
      const driver = [path, version].filter((part) => part !== '').join(' ');
      return [`  ${kind}`, [driver, oneLine(reason)].filter((part) => part !== '').join(': ') || 'loaded'];
    }),
    ...kernel,
    ...(accelerators.length === 0
      ? []
      : [['  peer memory', peerMemory === '' ? 'no module of the kernel (nvidia_peermem, amdkfd) is loaded' : peerMemory]]),
  ];
}

/** RDMA devices × accelerators, as `nvidia-smi topo` shows them; nothing where one of them is missing. */
export function distanceLines({ nics, accelerators }: Affinity): string[] {
  if (nics.length === 0 || accelerators.length === 0) return [];
  const rows = nics.map((nic, index) => [`  ${nic}`, ...accelerators.map(({ distances }) => distances[index] ?? 'unknown')]);
  return [
    '',
    'distances on PCI (nearest first: PIX, PXB, PHB, NODE, SYS)',
    ...formatTable([['', ...accelerators.map(({ accelerator }) => accelerator)], ...rows]),
  ];
}

function rowsOf(accelerator: AcceleratorReport['accelerators'][number], way: AcceleratorWay | undefined): string[][] {
  const { name, pciAddress, numaNode, bytes, dmabuf, dmabufReason } = accelerator;
  const numa = numaNode < 0 ? 'unknown' : String(numaNode);
  return [
    [deviceName(accelerator), `${name}, ${formatBytes(bytes)}, PCI ${pciAddress || 'unknown'}, NUMA node ${numa}`],
    ['  dma-buf', dmabuf ? 'its driver exports its memory' : `not exported: ${oneLine(dmabufReason)}`],
    ['  RDMA', way === undefined ? 'unknown' : wayText(way)],
  ];
}

function wayText({ path, reason }: AcceleratorWay): string {
  const because = reason === '' ? '' : `: ${oneLine(reason)}`;
  switch (path) {
    case 'none':
      return `its memory cannot be used${because}`;
    case 'staging':
      return `through host memory (staging)${because}`;
    default:
      return `reads and writes its memory by ${path} (tried)${because}`;
  }
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}

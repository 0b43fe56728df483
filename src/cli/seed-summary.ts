/** What `seed` prints when it is ready. */
import type { DeviceMemory } from '../device/path.js';
import type { NumaSummary } from '../locality.js';
import type { SeedSummary, TcpServed } from '../seed/index.js';
import { formatBytes, formatCount, formatMs, formatTable } from './format.js';

export function seedSummaryLines(modelName: string, server: string | undefined, summary: SeedSummary): string[] {
  const devices = summary.devices.map((device) => (summary.softwareDevices.includes(device) ? `${device} (software RDMA)` : device));
  const rdma = summary.transports.includes('rdma');
  const rows = [
    ['model', modelName],
    ...(server === undefined ? [] : [['source id', summary.sourceId]]),
    ['worker id', summary.workerId],
    ['rank', String(summary.rank)],
    ...(server === undefined ? [] : [['server', server]]),
    ...(summary.sglang === undefined ? [] : [['sglang', sglang(summary.sglang)]]),
    ['session id', summary.sessionId],
    ...(server === undefined ? [] : [['manifest', manifest(summary)]]),
    ['transports', summary.transports.join(', ') + (rdma ? '' : ` (not rdma: ${summary.transportReason})`)],
    ...(devices.length > 0 ? [['devices', devices.join(', ')]] : []),
    ['tensors', `${formatCount(summary.tensors)}, ${formatBytes(summary.bytes)}`],
    ['memory', backing(summary)],
    ...(summary.deviceMemory === undefined ? [] : [['accelerator', deviceMemoryText(summary.deviceMemory)]]),
    ...(summary.numa === undefined ? [] : [['NUMA', numaText(summary.numa)]]),
    ['phases', phasesText(summary.phases)],
  ];
  return [...formatTable(rows), ...summary.notes.map((note) => `note: ${note}`), 'ready'];
}

/** `sent over TCP: 4.0 GiB in 4,096 answers, 4.0 GiB of it without a copy`. */
export function tcpServedText({ bytes, requests, zeroCopyBytes, zeroCopyRefused, zeroCopyCrowded }: TcpServed): string {
  const reasons = [
    ...(zeroCopyRefused > 0 ? [`on ${formatCount(zeroCopyRefused)} connections the kernel copied anyway`] : []),
    ...(zeroCopyCrowded > 0 ? [`${formatCount(zeroCopyCrowded)} pieces met net.core.optmem_max or RLIMIT_MEMLOCK`] : []),
  ];
  const why = reasons.length === 0 ? '' : ` (${reasons.join('; ')})`;
  return `sent over TCP: ${formatBytes(bytes)} in ${formatCount(requests)} answers, ${formatBytes(zeroCopyBytes)} of it without a copy${why}`;
}

function manifest({ manifest: mode, workerEndpoint }: SeedSummary): string {
  return mode === 'central' ? `tensors at the server, the rest at ${workerEndpoint}` : `all at ${workerEndpoint}, none at the server`;
}

function sglang({ url, registeredAt }: NonNullable<SeedSummary['sglang']>): string {
  return [...(url === '' ? [] : [`answers at ${url}`]), ...(registeredAt === '' ? [] : [`registered at ${registeredAt}`])].join(', ');
}

/** `cuda:0, by dma-buf`, `cuda:0, through host memory (staging): …`. */
export function deviceMemoryText({ devices, path, reason }: DeviceMemory): string {
  const way = path === 'staging' ? 'through host memory (staging)' : `by ${path}`;
  return `${devices.join(', ')}, ${way}${reason === '' ? '' : `: ${reason}`}`;
}

/** `rxe0 on node 0, threads on processors 0-1; memory on node 0`. */
export function numaText({ nics, memory }: NumaSummary): string {
  const nicText = ({ device, node, processors, reason }: NumaSummary['nics'][number]): string => {
    const threads = processors === '' ? `threads anywhere (${reason})` : `threads on processors ${processors}`;
    return `${device} on ${node < 0 ? 'an unknown node' : `node ${String(node)}`}, ${threads}`;
  };
  const where = memory.nodes.length === 0 ? 'anywhere' : `on node${memory.nodes.length === 1 ? '' : 's'} ${memory.nodes.join(', ')}`;
  return [...nics.map(nicText), `memory ${where}${memory.reason === '' ? '' : ` (${memory.reason})`}`].join('; ');
}

function backing({ backing: kind, copiedBecause, deviceMemory, registrations }: SeedSummary): string {
  const registered = registrations > 0 ? `; ${formatCount(registrations)} registered on each device` : '';
  switch (kind) {
    case 'mapped':
      return `files are served from the page cache, not copied${registered}`;
    case 'copied':
      return deviceMemory === undefined
        ? `files are copied into memory: ${copiedBecause}${registered}`
        : `a copy in the memory of the host${registered}`;
    case 'device':
      return `of the accelerator, not copied${registered}`;
    case 'memory':
      return `memory of the process${registered}`;
  }
}

/** `open 1.2 ms, register 35 ms`: phases that took no time are left out. */
export function phasesText(phases: Readonly<Record<string, number>>): string {
  return Object.entries(phases)
    .filter(([, ms]) => ms >= 0.05)
    .map(([name, ms]) => `${name.replace(/Ms$/, '')} ${formatMs(ms)}`)
    .join(', ');
}

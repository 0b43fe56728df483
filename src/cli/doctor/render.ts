/** The report of `doctor` as text. */
import type { NativeDevicePort, NativeLimits } from '../../native.js';
import { formatBytes, formatCount, formatTable } from '../format.js';
import { acceleratorRows, distanceLines } from './render-accelerators.js';
import type { LocalCheck } from './local-check.js';
import { numaRows } from './numa.js';
import type { DoctorReport, NativeReport } from './report.js';
import { verdictText } from './verdict.js';

export function reportLines(report: DoctorReport): string[] {
  const { node, addon, kernelRdma, sharedMemory, acceleratorSigns, verdict } = report;
  const rows = [
    ['node', `${node.version}, Node-API ${node.nodeApi}, ${node.platform}-${node.arch}, kernel ${node.kernel}`],
    ['addon', addon.reason === '' ? `loaded${addon.path === '' ? '' : ` from ${addon.path}`}` : `not loaded: ${oneLine(addon.reason)}`],
    ...(report.native === undefined
      ? []
      : [['libibverbs', report.native.libibverbs.path || `not loaded: ${report.native.libibverbs.reason}`]]),
    ['kernel RDMA', kernelRdma.devices.length > 0 ? `devices ${kernelRdma.devices.join(', ')}` : 'no devices'],
    ['  modules', kernelRdma.modules.join(', ') || 'none'],
    ['  uverbs', kernelRdma.nodes.map(({ path, usable }) => `${path}${usable ? '' : ' (no permission)'}`).join(', ') || 'none'],
    ...(kernelRdma.hint === '' ? [] : [['  hint', kernelRdma.hint]]),
    ...(report.native === undefined ? [] : nativeRows(report.native)),
    [
      '/dev/shm',
      sharedMemory === undefined
        ? 'not there: pull --shm cannot work'
        : `${formatBytes(sharedMemory.freeBytes)} of ${formatBytes(sharedMemory.totalBytes)} free`,
    ],
    ['address', `${report.address} (peers reach a seed here at it; --host changes it)`],
    ...acceleratorRows(report.native?.accelerators, acceleratorSigns),
  ];
  return [
    ...formatTable(rows),
    ...(report.native === undefined ? [] : distanceLines(report.native.accelerators.affinity)),
    ...(report.native?.ports ?? []).flatMap((port) => ['', ...portLines(port)]),
    '',
    ...verdict.warnings.map((warning) => `warning: ${warning}`),
    `verdict: ${oneLine(verdictText(verdict))}`,
  ];
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}

function nativeRows({ limits, memlockAdvice, portsReason, tcp, local, numa }: NativeReport): string[][] {
  return [
    ...(portsReason === '' ? [] : [['RDMA devices', portsReason]]),
    ['memlock', memlockText(limits)],
    ...(memlockAdvice === '' ? [] : [['  fix', memlockAdvice]]),
    ['memory', limits.available === undefined ? 'unknown' : `${formatBytes(limits.available)} available`],
    ['huge pages', hugePagesText(limits)],
    ...numaRows(numa),
    ['TCP', tcp.ok ? 'works (checked over loopback)' : `does not work: ${tcp.reason}`],
    ...localRows(local),
  ];
}

function localRows({ descriptors, memory, restrictions: { ptraceScope, seccomp } }: LocalCheck): string[][] {
  const text = (reason: string): string =>
    reason === '' ? 'can be read (checked by another process)' : `cannot be read: ${oneLine(reason)}`;
  const yama = ptraceScope === undefined ? 'no Yama' : `kernel.yama.ptrace_scope ${String(ptraceScope)}${ptraceScopes[ptraceScope] ?? ''}`;
  return [
    ['on this host', `files and shared memory of a seed ${text(descriptors)}`],
    ['  memory', `its other memory ${text(memory)}`],
    ['  limits', `${yama}; ${seccomp ? 'a seccomp filter' : 'no seccomp filter'}`],
  ];
}

/** What Yama's levels mean for a seed whose memory is read. */
const ptraceScopes: Readonly<Record<number, string>> = {
  1: ' (one target at a time, with leave of the seed)',
  2: ' (only with CAP_SYS_PTRACE)',
  3: ' (nobody)',
};

function memlockText({ memlockSoft, memlockHard, ipcLock }: NativeLimits): string {
  const text = (limit: bigint | undefined): string => (limit === undefined ? 'unlimited' : formatBytes(limit));
  return `soft ${text(memlockSoft)}, hard ${text(memlockHard)}, CAP_IPC_LOCK ${ipcLock ? 'yes: no limit applies' : 'no'}`;
}

function hugePagesText({ hugePageSize, hugePagesFree }: NativeLimits): string {
  if (hugePageSize === 0n) return 'the kernel has none';
  return `${formatCount(hugePagesFree)} free of ${String(hugePageSize / 1024n)} kB each`;
}

/** One port of a device: what `ibv_devinfo -v` tells, as far as it matters here. */
export function portLines(port: NativeDevicePort): string[] {
  const software = port.software ? ' (software: not RDMA hardware)' : '';
  const lid = port.linkLayer === 'InfiniBand' ? `, LID ${String(port.lid)}` : '';
  const rows = [
    ['  provider', `${port.provider}${software}${port.firmware === '' ? '' : `, firmware ${port.firmware}`}`],
    ['  state', `${port.state}, ${port.linkLayer}${lid}`],
    [
      '  rate',
      `${String(port.rateGbps)} Gb/s${port.software ? ' claimed, which means nothing for software' : ''}, MTU ${String(port.activeMtu)}`,
    ],
    ['  dma-buf', port.dmabuf ? "imported: reads and writes accelerators' memory" : `not imported: ${port.dmabufReason}`],
    ['  netdev', `${port.netdev || 'none'}, NUMA node ${port.numaNode < 0 ? 'unknown' : String(port.numaNode)}`],
    [
      '  limits',
      `${formatCount(port.maxQp)} queue pairs, ${formatCount(port.maxMr)} regions up to ${formatBytes(port.maxMrBytes)}, ` +
        `reads in flight ${String(port.maxInitiatorReads)} out ${String(port.maxResponderReads)} in, ${String(port.maxSge)} segments, messages up to ${formatBytes(port.maxMessage)}`,
    ],
  ];
  const gids = port.gids.map((gid) => [
    `  ${gid.index === port.chosenGidIndex ? '*' : ' '} GID ${String(gid.index)}`,
    gid.gid,
    gid.type || '-',
    gid.netdev || '-',
  ]);
  const none = port.chosenGidIndex < 0 ? ['  no GID fits: give the netdev an address'] : [];
  return [`${port.device} port ${String(port.port)}`, ...formatTable(rows), ...formatTable(gids), ...none];
}

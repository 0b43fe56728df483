/** What `pull` prints at its end. */
import type { PullResult } from '../target/index.js';
import { formatBytes, formatCount, formatMs, formatTable } from './format.js';
import { deviceMemoryText, numaText, phasesText } from './seed-summary.js';

export function pullSummaryLines(result: PullResult): string[] {
  const rows = [
    ['source', sourceText(result)],
    ...(result.selector === '' ? [] : [['chosen', chosenText(result)]]),
    ['tensors', `${formatCount(result.tensors)}, ${formatBytes(result.bytes)}`],
    ['transport', transportText(result)],
    ...(result.transport === 'rdma' ? [['devices', devicesText(result)]] : []),
    ...(result.deviceMemory === undefined ? [] : [['accelerator', deviceMemoryText(result.deviceMemory)]]),
    ...(result.numa === undefined ? [] : [['NUMA', numaText(result.numa)]]),
    ['speed', `${result.wireGBps.toFixed(3)} GB/s on the wire, ${formatMs(result.totalMs)} in all`],
    ['requests', formatCount(result.workRequests)],
    ['phases', phasesText(result.phases)],
    ['verified', verifiedText(result)],
    ['output', outputText(result)],
  ];
  const lanes = result.lanes.map((lane) => [
    `  ${lane.name}`,
    formatBytes(lane.bytes),
    `${formatCount(lane.workRequests)} requests`,
    `first byte after ${formatMs(lane.firstByteMs)}`,
    ...(lane.retransmits === 0 ? [] : [`${formatCount(lane.retransmits)} retransmissions`]),
    ...(lane.smallestReadBytes === undefined ? [] : [`reads down to ${formatBytes(BigInt(lane.smallestReadBytes))}`]),
    ...(lane.failure === '' ? [] : [`ended early: ${lane.failure}`]),
  ]);
  const failed = result.attempts.map(
    ({ workerId, code, message, ms }) => `failed: worker ${workerId} after ${formatMs(ms)}: ${code}: ${message.replaceAll('\n', ' ')}`,
  );
  return [...formatTable(rows), 'lanes', ...formatTable(lanes), ...failed, ...result.notes.map((note) => `note: ${note}`)];
}

export function sourceText({ origin, sourceId, workerId, rank, peer }: Omit<PullResult, 'output'>): string {
  switch (origin.kind) {
    case 'registry':
      return `${sourceId}, worker ${workerId}, rank ${String(rank)}, at ${peer}`;
    case 'sglang':
      return `rank ${String(rank)} of SGLang at ${origin.url}, session ${peer}`;
    case 'session':
      return `session ${peer}`;
  }
}

function chosenText({ selector, attempts }: PullResult): string {
  return `by ${selector}${attempts.length === 0 ? '' : `, after ${formatCount(attempts.length)} that failed`}`;
}

/** `rdma`, `rdma (software RDMA: not a hardware number)`, `tcp (not rdma: …)`, `local (…)`. */
export function transportText({
  transport,
  transportReason,
  software,
}: Pick<PullResult, 'transport' | 'transportReason' | 'software'>): string {
  if (transport === 'local') return 'local (on this host, no wire)';
  if (transport === 'tcp') return transportReason === '' ? 'tcp' : `tcp (not rdma: ${transportReason})`;
  return software ? 'rdma (software RDMA, rxe: not the speed of hardware)' : 'rdma';
}

function devicesText({ lanes }: PullResult): string {
  const unique = (names: readonly (string | undefined)[]): string => [...new Set(names.filter((name) => name !== undefined))].join(', ');
  return `${unique(lanes.map((lane) => lane.localDevice))} here, ${unique(lanes.map((lane) => lane.remoteDevice))} there`;
}

export function verifiedText({ verified, tensors, bytes }: Pick<PullResult, 'verified' | 'tensors' | 'bytes'>): string {
  if (verified === undefined) return 'nothing: these bytes were not compared with the seed';
  const all = verified.tensors === tensors && verified.bytes === bytes;
  const sample = verified.sampleOf === undefined ? '' : ', a sample';
  const part = all ? 'all' : `${formatCount(verified.tensors)} of`;
  const early = verified.bytesWhileReading === 0n ? '' : `; ${formatBytes(verified.bytesWhileReading)} of it hashed while reading`;
  return `${part} ${formatCount(tensors)} tensors, ${formatBytes(verified.bytes)}, ${verified.algorithm}${sample}${early}`;
}

function outputText({ output, deviceMemory }: PullResult): string {
  switch (output.kind) {
    case 'directory':
      return `${output.path} (${formatCount(output.files.length)} files; ${formatBytes(output.writtenWhileReading)} written while reading)`;
    case 'shared':
      return `${output.path} (${formatBytes(output.bytes)})`;
    case 'mapped':
      return `${formatCount(output.regions.length)} mappings of the seed's memory, now closed`;
    case 'memory':
      return deviceMemory === undefined ? 'memory' : `memory of ${deviceMemory.devices.join(', ')}, held until a signal ends this process`;
    case 'tensors':
      return 'memory';
    case 'discard':
      return 'discarded';
  }
}

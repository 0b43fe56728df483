/** What limits reads, and what to change: sentences with the figures that they rest on. */
import type { Link } from '../link/link.js';
import { timeUnderLoadUs } from '../measure/bound.js';
import type { CpuUse } from '../measure/cpu.js';
import { sizeText } from '../report/numbers.js';
import type { LaneShare, SizeRow } from '../report/report.js';
import type { Depth } from './options.js';

/** Of the fastest size, and of the smallest and the largest where other things limit them. */
export function findingsOf(rows: readonly SizeRow[], link: Link, depth: Depth): string[] {
  const bySize = rows.toSorted((a, b) => a.bytes - b.bytes);
  const [fastest] = rows.toSorted((a, b) => b.averageGBps - a.averageGBps);
  const worth: SizeRow[] = [];
  for (const row of [fastest, bySize[0], bySize.at(-1)]) {
    if (row !== undefined && !worth.some(({ bound }) => bound === row.bound)) worth.push(row);
  }
  return [...worth.map((row) => findingOf(row, link, depth)), ...balance(fastest), ...losses(rows)];
}

/** Losses that are further apart cost nothing to speak of: 64 reads of 1 MiB. */
const bearableBytes = 64 * 2 ** 20;

/** Paths that lose packets, each by the row where that was worst. */
function losses(rows: readonly SizeRow[]): string[] {
  const lossy = rows
    .flatMap((row) => row.lanes.map((lane) => ({ ...lane, size: row.bytes, apart: lane.bytes / (lane.retransmits ?? 0) })))
    .filter(({ apart }) => apart < bearableBytes)
    .toSorted((a, b) => a.apart - b.apart);
  return [...new Set(lossy.map(({ name }) => name))].flatMap((path) => {
    const worst = lossy.find(({ name }) => name === path);
    return worst === undefined ? [] : lossText(worst);
  });
}

function lossText({ name, bytes, retransmits, smallestReadBytes, size }: LaneShare & { readonly size: number }): string {
  const cut = smallestReadBytes === undefined ? '' : `, and reads of ${sizeText(size)} were cut down to ${sizeText(smallestReadBytes)}`;
  return `${name} loses packets: its port asked again ${String(retransmits)} times while it brought ${sizeText(bytes)}${cut}; look at flow control (PFC, ECN), cables and switches`;
}

function findingOf(row: SizeRow, link: Link, depth: Depth): string {
  const at = `reads of ${sizeText(row.bytes)}, ${GBps(row.averageGBps)}`;
  switch (row.bound) {
    case 'link':
      return `${at}: the link limits them, they are at ${percent(row.averageGBps / (row.ceilingGBps ?? row.averageGBps))} of its ceiling of ${GBps(row.ceilingGBps ?? 0)}; more needs another rail or a faster one${mtuAdvice(link)}`;
    case 'cpu':
      return `${at}: processors limit them, this machine was ${percent(row.cpu?.machineBusy ?? 0)} busy (${coresText(row)}); ${cpuAdvice(link, row.cpu)}`;
    case 'bytes in flight':
      return `${at}: bytes in flight limit them: with ${sizeText(row.inFlightBytes)} under way a read takes ${timeUnderLoadUs(row).toFixed(0)} µs, no longer than a lone one (${(row.lone?.p50Us ?? 0).toFixed(0)} µs), so the path is not full; ${depthAdvice(link, depth)}`;
    case 'unknown':
      return `${at}: no measured figure says what limits them${row.lone === null ? '; give --latency-samples for the time of lone reads' : ''}${row.cpu === null ? '; measure longer (--duration) for processor time' : ''}`;
  }
}

function depthAdvice({ transport }: Link, { outstanding, queuePairs }: Depth): string {
  if (transport === 'tcp') return `raise --size or --qp (connections, ${String(queuePairs ?? 4)} now)`;
  return `raise --size, --outs (${String(outstanding ?? 16)} now) or --qp (${String(queuePairs ?? 1)} now)`;
}

function cpuAdvice({ transport, software }: Link, cpu: CpuUse | null): string {
  if (software) return 'the software device itself takes them: only hardware changes that';
  if (cpu !== null && cpu.otherCores > cpu.targetCores + (cpu.seedCores ?? 0))
    return 'other programs take most of them: end those, and measure again';
  if (transport === 'tcp') return 'the kernel copies every byte: measure with the two sides on two hosts (--serve, --connect), or use RDMA';
  return 'end other programs, or measure with the two sides on two hosts (--serve, --connect)';
}

function mtuAdvice({ rails }: Link): string {
  const small = rails.find(({ mtu }) => mtu < 4096);
  return small === undefined ? '' : `, or an MTU of 4096 instead of ${String(small.mtu)} on ${small.device}`;
}

function coresText({ cpu }: SizeRow): string {
  if (cpu === null) return '';
  const seed = cpu.seedCores === null ? '' : `, seed ${cpu.seedCores.toFixed(2)}`;
  return `cores: target ${cpu.targetCores.toFixed(2)}${seed}, all else ${cpu.otherCores.toFixed(2)}`;
}

/** Rails that carried much less than their part. */
function balance(row: SizeRow | undefined): string[] {
  if (row === undefined || row.lanes.length < 2 || row.iterations < 20 * row.lanes.length) return [];
  const fair = 1 / row.lanes.length;
  const slow = row.lanes.filter(({ share }) => share < 0.75 * fair);
  return slow.map(
    ({ name, share }) => `${name} carried ${percent(share)} where ${percent(fair)} is its part: it is slower than the others`,
  );
}

function GBps(rate: number): string {
  return `${rate.toPrecision(3)} GB/s`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** The report of `bench metadata` as text. */
import { formatBytes, formatCount, formatMs, formatTable } from '../format.js';
import type { Spread } from '../../bench/statistics.js';
import type { CallsRow, MetadataReport, ResidentRow } from '../../bench/metadata/report.js';

export function renderReport(report: MetadataReport): string[] {
  const { calls, resident, notes } = report;
  return [
    ...formatTable(facts(report)),
    ...(calls.length === 0 ? [] : ['', ...formatTable([callsHead, ...calls.map((row) => callsCells(row, report))])]),
    ...(resident === null ? [] : ['', ...formatTable(residentRows(resident))]),
    '',
    `spreads are min / median / max of ${formatCount(report.settings.repetitions)} repetitions`,
    ...notes.map((note) => `note: ${note}`),
  ];
}

function facts({ machine, server, settings, commandLine, startedAt, tookMs }: MetadataReport): string[][] {
  return [
    ['command', commandLine],
    ['time', `${startedAt}, ${formatMs(tookMs)} in all`],
    [
      'machine',
      `${machine.cpu}, ${formatCount(machine.cores)} cores, ${formatBytes(machine.memoryBytes)}, load ${machine.loadAverage.toFixed(2)} before`,
    ],
    ['software', `weightcast ${machine.weightcast}, Node ${machine.node}, ${machine.platform}, kernel ${machine.kernel}`],
    ['server', `${server.own ? 'its own' : 'foreign'}, on ${server.address}, store ${server.store}`],
    ['usage from', server.usageFrom ?? 'nowhere'],
    ['load', `${formatCount(settings.generators)} generator processes, ${settings.secondsPerMeasurement.toString()} s a measurement`],
  ];
}

const callsHead = [
  'CALL',
  'CONNECTIONS',
  'CALLS/S',
  'P50 ms',
  'P99 ms',
  'REPLY MB/s',
  'SERVER CPU ms/call',
  'CLIENT CPU ms/call',
  'LIMITED BY',
];

function callsCells(row: CallsRow, { settings }: MetadataReport): string[] {
  const what = {
    publish: `publish (${formatCount(settings.publishTensors)} tensors, ${formatBytes(settings.publishRequestBytes)})`,
    heartbeat: 'heartbeat',
    list: `list (${formatCount(settings.listWorkers)} workers, ${formatBytes(Math.round(row.replyBytes))})`,
    get: `get (${formatCount(settings.getTensors)} tensors, ${formatBytes(Math.round(row.replyBytes))})`,
  }[row.name];
  return [
    row.heartbeatsPerSecond === 0 ? what : `  with ${number(row.heartbeatsPerSecond)} heartbeats/s`,
    formatCount(row.connections),
    spread(row.callsPerSecond),
    spread(row.p50Ms),
    spread(row.p99Ms),
    row.name === 'list' || row.name === 'get' ? spread(row.replyMBps) : '-',
    row.serverCpuMs === null ? '-' : spread(row.serverCpuMs),
    spread(row.clientCpuMs),
    limitText(row),
  ];
}

/** With the cores that both sides kept busy. */
function limitText({ bound, refused, serverCores, clientCores }: CallsRow): string {
  const server = serverCores === null ? '' : `server ${serverCores.median.toFixed(2)}, `;
  const refusals = refused === 0 ? '' : `, ${formatCount(refused)} calls were refused`;
  return `${bound} (cores: ${server}clients ${clientCores.median.toFixed(2)}${refusals})`;
}

function residentRows({ workers, tensorsPerWorker, requestBytes, repetitions, bytesPer1000Workers }: ResidentRow): string[][] {
  const size = `${formatCount(workers)} workers of ${formatCount(tensorsPerWorker)} tensors, requests of ${formatBytes(requestBytes)}`;
  const { min, median, max } = bytesPer1000Workers;
  return [
    ['RESIDENT MEMORY', 'BEFORE', 'AFTER', 'PER 1,000 WORKERS'],
    ...repetitions.map(({ beforeBytes, afterBytes }, index) => [
      index === 0 ? size : '',
      bytes(beforeBytes),
      bytes(afterBytes),
      bytes(((afterBytes - beforeBytes) / workers) * 1000),
    ]),
    ['spread', '', '', [min, median, max].map(bytes).join(' / ')],
  ];
}

/** Memory may also shrink. */
function bytes(count: number): string {
  return count < 0 ? `-${formatBytes(Math.round(-count))}` : formatBytes(Math.round(count));
}

function spread({ min, median, max }: Spread): string {
  return [min, median, max].map(number).join(' / ');
}

/** Three digits that count, no more than are there. */
function number(value: number): string {
  if (value >= 100) return formatCount(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

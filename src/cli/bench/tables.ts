/** Reports as text. */
import type { Report } from '../../bench/report/report.js';
import { formatBytes, formatCount, formatMs, formatTable } from '../format.js';
import { fanoutLines, modelLines, registerLines } from './other-tables.js';
import { readLines } from './read-table.js';

export function reportLines(report: Report): string[] {
  return [
    ...formatTable(facts(report)),
    '',
    ...bodyLines(report),
    '',
    ...report.findings.map((finding) => `limit: ${finding}`),
    ...report.notes.map((note) => `note: ${note}`),
  ];
}

function bodyLines(report: Report): string[] {
  switch (report.benchmark) {
    case 'read':
      return readLines(report);
    case 'model':
      return modelLines(report);
    case 'register':
      return registerLines(report);
    case 'fanout':
      return fanoutLines(report);
  }
}

function facts(report: Report): string[][] {
  const { machine, commandLine, startedAt, tookMs } = report;
  return [
    ['command', commandLine],
    ['time', `${startedAt}, ${formatMs(tookMs)} in all`],
    [
      'machine',
      `${machine.cpu}, ${formatCount(machine.cores)} cores, ${formatBytes(machine.memoryBytes)}, load ${machine.loadAverage.toFixed(2)} before`,
    ],
    ['software', `weightcast ${machine.weightcast}, Node ${machine.node}, ${machine.platform}, kernel ${machine.kernel}`],
    ...('link' in report
      ? [
          ['wire', wireText(report.link)],
          ['seed', report.seed === 'own process' ? 'a process of its own on this machine' : 'elsewhere'],
        ]
      : []),
  ];
}

function wireText({ transport, software, rails }: Extract<Report, { readonly link: unknown }>['link']): string {
  if (transport === 'tcp') return 'tcp';
  const devices = rails.map(({ device, provider, framing, mtu, rateGbps }) => {
    const rate = rateGbps === null ? '' : `, ${String(rateGbps)} Gb/s`;
    return `${device} (${provider}, ${framing}, MTU ${String(mtu)}${rate})`;
  });
  return `${software ? 'rdma in software, not the speed of hardware' : 'rdma'}: ${devices.join(', ')}`;
}

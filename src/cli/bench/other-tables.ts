/** The tables of `bench model`, `register` and `fanout`. */
import type { FanoutReport, ModelReport, RegisterReport } from '../../bench/report/report.js';
import type { Spread } from '../../bench/statistics.js';
import { formatBytes, formatCount, formatTable } from '../format.js';
import { alignRight } from './read-table.js';

export function modelLines(report: ModelReport): string[] {
  const { settings, tensors, bytes, workRequests, registrations, phases, totalMs, wireGBps, ceilingGBps, lanes } = report;
  const rows = Object.entries(phases).map(([phase, ms]) => [phase, spread(ms, 1), percent(ms.median / totalMs.median)]);
  const ceiling = ceilingGBps === null ? '' : `, ceiling ${ceilingGBps.toFixed(3)}`;
  return [
    `${settings.shapes}, dimensions over ${String(settings.scale)}: ${formatCount(tensors)} tensors, ${formatBytes(bytes)}, ${formatCount(workRequests)} reads, ${formatCount(registrations)} registrations`,
    '',
    ...formatTable([['PHASE', 'ms', 'PART'], ...rows, ['in all', spread(totalMs, 1), '']]),
    '',
    `wire ${spread(wireGBps, 3)} GB/s${ceiling}`,
    `paths: ${lanes.map(({ name, share }) => `${name} ${percent(share)}`).join(', ')}`,
    repeated(settings.repetitions),
  ];
}

export function registerLines({ settings, device, software, tensors, bytes, ways, mergedIsFasterBy }: RegisterReport): string[] {
  return [
    `${settings.shapes}, dimensions over ${String(settings.scale)}: ${formatCount(tensors)} tensors, ${formatBytes(bytes)}, on ${device}${software ? ' (software)' : ''}`,
    '',
    ...formatTable([
      ['REGISTERED', 'REGISTRATIONS', 'ms', 'us A TENSOR'],
      ...ways.map(({ way, registrations, ms, usPerTensor }) => [way, formatCount(registrations), spread(ms, 2), usPerTensor.toFixed(2)]),
    ]),
    '',
    `merged is ${mergedIsFasterBy.toFixed(1)} times as fast`,
    repeated(settings.repetitions),
  ];
}

export function fanoutLines({ settings, aloneGBps, totalGBps, targets, fairness }: FanoutReport): string[] {
  return [
    ...alignRight([
      ['TARGET', 'GB/s', ''],
      ...targets.map(({ target, GBps }) => [String(target), spread(GBps, 3), '']),
      ['all', spread(totalGBps, 3), ''],
      ['one alone', spread(aloneGBps, 3), ''],
      ['fairness', spread(fairness, 3), ''],
    ]),
    '',
    repeated(settings.repetitions),
  ];
}

function repeated(repetitions: number): string {
  return `spreads are min / median / max of ${formatCount(repetitions)} repetitions`;
}

function spread({ min, median, max }: Spread, digits: number): string {
  return [min, median, max].map((value) => value.toFixed(digits)).join(' / ');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

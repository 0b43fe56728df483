/** The figures of a report as tables, for those who want the numbers. */
import type { Report, SizeRow } from '../report/report.js';
import type { Spread } from '../statistics.js';
import { type Markup, markup } from './markup.js';
import { percentText, short, sizeText } from '../report/numbers.js';

export function figuresTable(report: Report): Markup {
  switch (report.benchmark) {
    case 'read':
      return table(
        'Reads by size',
        ['Size', 'Reads', 'Peak GB/s', 'Average GB/s', 'Mreads/s', 'Lone p50 µs', 'p90 µs', 'p99 µs', 'Ceiling GB/s', 'Limited by'],
        report.sizes.map(sizeCells),
      );
    case 'model':
      return table(
        'Phases of a pull',
        ['Phase', 'ms, min / median / max', 'Part'],
        [
          ...Object.entries(report.phases).map(([phase, ms]) => [phase, spreadText(ms), percentText(ms.median / report.totalMs.median)]),
          ['in all', spreadText(report.totalMs), ''],
        ],
      );
    case 'register':
      return table(
        'Ways to register',
        ['Registered', 'Registrations', 'ms, min / median / max', 'µs a tensor'],
        report.ways.map(({ way, registrations, ms, usPerTensor }) => [way, String(registrations), spreadText(ms), short(usPerTensor)]),
      );
    case 'fanout':
      return table(
        'Targets',
        ['Target', 'GB/s, min / median / max'],
        [
          ...report.targets.map(({ target, GBps }) => [String(target), spreadText(GBps)]),
          ['all together', spreadText(report.totalGBps)],
          ['one alone', spreadText(report.aloneGBps)],
          ['fairness', spreadText(report.fairness)],
        ],
      );
  }
}

function sizeCells(row: SizeRow): string[] {
  const { bytes, iterations, peakGBps, averageGBps, messagesPerSecond, lone, ceilingGBps, bound } = row;
  const lonely = lone === null ? ['–', '–', '–'] : [lone.p50Us, lone.p90Us, lone.p99Us].map(short);
  const rates = [peakGBps, averageGBps, messagesPerSecond / 1e6].map(short);
  return [sizeText(bytes), String(iterations), ...rates, ...lonely, ceilingGBps === null ? '–' : short(ceilingGBps), bound];
}

/** It may be wider than a phone; then it is moved by itself, by keyboard too. */
function table(caption: string, head: readonly string[], rows: readonly (readonly string[])[]): Markup {
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption>${caption}</caption>
<thead><tr>${head.map((cell) => markup`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(([first = '', ...rest]) => markup`<tr><th scope="row">${first}</th>${rest.map((cell) => markup`<td>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
}

function spreadText({ min, median, max }: Spread): string {
  return [min, median, max].map(short).join(' / ');
}

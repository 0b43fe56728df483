/** The charts of reports. */
import type { FanoutReport, LaneShare, Phases, ReadReport, RegisterReport } from '../report/report.js';
import { barChart } from './bars.js';
import { type Line, lineChart } from './lines.js';
import { type Markup, markup } from './markup.js';
import { percentText, short, sizeText, timeText } from '../report/numbers.js';

function figure(title: string, chart: Markup, caption: string): Markup {
  return markup`<figure><h2>${title}</h2>${chart}<figcaption>${caption}</figcaption></figure>`;
}

/** Beside the ceiling of the link and `ib_read_bw`, where they are known. */
export function throughput({ sizes, perftest, noPerftest, link }: ReadReport): Markup {
  const sorted = sizes.toSorted((a, b) => a.bytes - b.bytes);
  const lines: Line[] = [
    {
      name: 'weightcast',
      look: 'first',
      points: sorted.map(({ bytes: x, averageGBps: y, passGBps: { min: low, max: high } }) => ({ x, y, low, high })),
    },
  ];
  if (perftest !== null) {
    const theirs = perftest.toSorted((a, b) => a.bytes - b.bytes);
    lines.push({ name: 'ib_read_bw', look: 'second', points: theirs.map(({ bytes: x, averageGBps: y }) => ({ x, y })) });
  }
  const ceiling = sorted.flatMap(({ bytes: x, ceilingGBps: y }) => (y === null ? [] : [{ x, y }]));
  if (ceiling.length > 0) lines.push({ name: 'link ceiling', look: 'limit', points: ceiling });
  const label = `Rate over the size of a read: ${sorted.map((row) => `${sizeText(row.bytes)} ${short(row.averageGBps)} GB/s`).join(', ')}`;
  const caption = [
    'Average of all passes; the bar behind a point is from the slowest to the fastest pass.',
    link.noCeiling === '' ? '' : `No ceiling: ${link.noCeiling}.`,
    perftest === null ? `No ib_read_bw: ${noPerftest}.` : '',
  ];
  const chart = lineChart({ label, unit: 'GB/s', lines, y: 'linear', text: short });
  return figure('Throughput over size', chart, caption.filter((text) => text !== '').join(' '));
}

export function latency({ sizes }: ReadReport): Markup[] {
  const rows = sizes.toSorted((a, b) => a.bytes - b.bytes).flatMap(({ bytes, lone }) => (lone === null ? [] : [{ bytes, lone }]));
  if (rows.length === 0) return [];
  const line = (name: string, look: Line['look'], key: 'p50Us' | 'p90Us' | 'p99Us'): Line => ({
    name,
    look,
    points: rows.map(({ bytes, lone }) => ({ x: bytes, y: lone[key] })),
  });
  const lines = [line('p50', 'first', 'p50Us'), line('p90', 'third', 'p90Us'), line('p99', 'second', 'p99Us')];
  const label = `Time of a lone read, p50 and p99: ${rows.map(({ bytes, lone }) => `${sizeText(bytes)} ${timeText(lone.p50Us)}, ${timeText(lone.p99Us)}`).join('; ')}`;
  const samples = Math.min(...rows.map(({ lone }) => lone.samples));
  const caption = `${String(samples)} reads of each size, one at a time with nothing else under way; starting the thread that reads is in it.`;
  return [figure('Latency of a lone read', lineChart({ label, unit: 'time', lines, y: 'log', text: timeText }), caption)];
}

export function balance(lanes: readonly LaneShare[], what: string): Markup {
  const fair = 1 / lanes.length;
  const bars = lanes.map(({ name, share }) => ({ name, value: share * 100, text: percentText(share) }));
  const label = `Share of the bytes by path: ${lanes.map(({ name, share }) => `${name} ${percentText(share)}`).join(', ')}`;
  const mark = { value: fair * 100, name: `equal parts, ${percentText(fair)}` };
  return figure(
    'Balance of the paths',
    barChart({ label, unit: '% of the bytes', bars, mark, text: short }),
    `${what}; a faster path takes more.`,
  );
}

const phaseOrder = ['discover', 'prepare', 'register', 'connect', 'wire', 'verify', 'write'] as const;

/** Phases in their order, each behind the one before it. */
export function timeline(phases: Phases, what: string): Markup {
  let from = 0;
  const bars = phaseOrder.map((name) => {
    const bar = { name, from, value: phases[name], text: timeText(phases[name] * 1000) };
    from += phases[name];
    return bar;
  });
  const label = `Phases of one pull: ${bars.map(({ name, text }) => `${name} ${text}`).join(', ')}`;
  return figure('One pull by phase', barChart({ label, unit: 'ms from the start', bars, text: short }), what);
}

export function targets({ targets: rows, totalGBps, aloneGBps }: FanoutReport): Markup {
  const bar = (name: string, GBps: number): { name: string; value: number; text: string } => ({
    name,
    value: GBps,
    text: `${short(GBps)} GB/s`,
  });
  const bars = [
    bar('one alone', aloneGBps.median),
    bar('all together', totalGBps.median),
    ...rows.map(({ target, GBps }) => bar(`target ${String(target)}`, GBps.median)),
  ];
  const label = `Rates: ${bars.map(({ name, text }) => `${name} ${text}`).join(', ')}`;
  return figure('Rates of the targets', barChart({ label, unit: 'GB/s', bars, text: short }), 'Medians of the repetitions.');
}

export function registrations({ ways }: RegisterReport): Markup {
  const bars = ways.map(({ way, ms }) => ({ name: way, value: ms.median, text: timeText(ms.median * 1000) }));
  const label = `Time to register: ${bars.map(({ name, text }) => `${name} ${text}`).join(', ')}`;
  return figure('Time to register', barChart({ label, unit: 'ms', bars, text: short }), 'Medians of the repetitions.');
}

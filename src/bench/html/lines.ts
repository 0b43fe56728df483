/** A chart of lines over sizes. */
import { type Axis, linearAxis, logAxis } from './axis.js';
import { type Markup, markup } from './markup.js';
import { sizeText } from '../report/numbers.js';

export interface Point {
  /** Bytes. */
  readonly x: number;
  readonly y: number;
  /** Ends of a whisker. */
  readonly low?: number;
  readonly high?: number;
}

export interface Line {
  readonly name: string;
  /** Which of the colours. */
  readonly look: 'first' | 'second' | 'third' | 'limit';
  readonly points: readonly Point[];
}

export interface LineChart {
  /** Says what is to be seen to those who do not see it. */
  readonly label: string;
  readonly unit: string;
  readonly lines: readonly Line[];
  readonly y: 'linear' | 'log';
  /** A value of the y axis, with its unit where it needs one. */
  readonly text: (value: number) => string;
}

/** Narrow, so that letters stay legible on a phone. */
const width = 360;
const height = 264;
const plot = { left: 52, right: width - 12, top: 28, bottom: height - 58 };

export function lineChart({ label, unit, lines, y, text }: LineChart): Markup {
  const points = lines.flatMap((line) => line.points);
  const values = points.flatMap(({ y: value, low = value, high = value }) => [value, low, high]);
  const across = logAxis(
    points.map((point) => point.x),
    2,
    plot.left + 12,
    plot.right - 14,
    6,
  );
  const up = y === 'log' ? logAxis(values, 10, plot.bottom, plot.top, 5) : linearAxis(Math.max(...values), plot.bottom, plot.top);
  return markup`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
<g class="grid">${up.ticks.map((tick) => markup`<line x1="${plot.left}" x2="${plot.right}" y1="${up.at(tick)}" y2="${up.at(tick)}"/>`)}</g>
<g class="ticks end">${up.ticks.map((tick) => markup`<text x="${plot.left - 6}" y="${up.at(tick) + 4}">${text(tick)}</text>`)}</g>
<g class="ticks middle">${across.ticks.map((tick) => markup`<text x="${across.at(tick)}" y="${plot.bottom + 18}">${sizeText(tick)}</text>`)}</g>
<text class="unit" x="4" y="11">${unit}</text>
${lines.map((line) => drawLine(line, across, up, text))}
${legend(lines)}
</svg>`;
}

function drawLine({ name, look, points }: Line, across: Axis, up: Axis, text: LineChart['text']): Markup {
  const path = points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${across.at(x).toFixed(1)} ${up.at(y).toFixed(1)}`).join('');
  const whiskers = points.flatMap(({ x, low, high }) =>
    low === undefined || high === undefined
      ? []
      : [markup`<line x1="${across.at(x)}" x2="${across.at(x)}" y1="${up.at(low)}" y2="${up.at(high)}"/>`],
  );
  const dots = points.map(
    ({ x, y }) =>
      markup`<circle cx="${across.at(x)}" cy="${up.at(y)}" r="${look === 'limit' ? 0 : 3.5}"><title>${name}, ${sizeText(x)}: ${text(y)}</title></circle>`,
  );
  return markup`<g class="line ${look}"><g class="whiskers">${whiskers}</g><path d="${path}"/>${dots}</g>`;
}

/** Under the axis, from left to right. */
function legend(lines: readonly Line[]): Markup {
  const step = (plot.right - plot.left + 40) / lines.length;
  const y = height - 16;
  return markup`<g class="legend">${lines.map(({ name, look }, index) => {
    const x = plot.left - 40 + index * step;
    return markup`<g class="line ${look}"><line x1="${x}" x2="${x + 18}" y1="${y - 4}" y2="${y - 4}"/></g><text x="${x + 24}" y="${y}">${name}</text>`;
  })}</g>`;
}

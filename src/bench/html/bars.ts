/** Charts of horizontal bars: shares, rates, and times one after the other. */
import { linearAxis } from './axis.js';
import { type Markup, markup } from './markup.js';

export interface Bar {
  readonly name: string;
  /** Where it begins; 0 where nothing is said. */
  readonly from?: number;
  readonly value: number;
  /** Stands at the end of its row. */
  readonly text: string;
}

export interface BarChart {
  /** Says what is to be seen to those who do not see it. */
  readonly label: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
  /** A line across all bars, where they would all end if they were alike. */
  readonly mark?: { readonly value: number; readonly name: string };
  readonly text: (value: number) => string;
}

const width = 360;
const row = 28;
const plot = { left: 86, right: width - 84, top: 24 };

export function barChart({ label, unit, bars, mark, text }: BarChart): Markup {
  const bottom = plot.top + bars.length * row;
  const height = bottom + (mark === undefined ? 26 : 46);
  const most = Math.max(mark?.value ?? 0, ...bars.map(({ from = 0, value }) => from + value));
  const axis = linearAxis(most, plot.left, plot.right);
  return markup`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
<g class="grid">${axis.ticks.map((tick) => markup`<line x1="${axis.at(tick)}" x2="${axis.at(tick)}" y1="${plot.top}" y2="${bottom}"/>`)}</g>
<g class="ticks middle">${everyOther(axis.ticks).map((tick) => markup`<text x="${axis.at(tick)}" y="${bottom + 16}">${text(tick)}</text>`)}</g>
<text class="unit" x="4" y="11">${unit}</text>
${bars.map((bar, index) => drawBar(bar, plot.top + index * row, axis.at))}
${mark === undefined ? '' : drawMark(mark, axis.at(mark.value), bottom, height)}
</svg>`;
}

function drawBar({ name, from = 0, value, text }: Bar, y: number, at: (value: number) => number): Markup {
  const x = at(from);
  // A bar of nothing is still seen to be there.
  const length = Math.max(1, at(from + value) - x);
  return markup`<g class="bar"><text class="name" x="${plot.left - 8}" y="${y + 19}">${name}</text>
<rect x="${x}" y="${y + 6}" width="${length}" height="${row - 12}" rx="2"/>
<text class="value" x="${width - 4}" y="${y + 19}">${text}</text></g>`;
}

function drawMark({ name }: { readonly name: string }, x: number, bottom: number, height: number): Markup {
  return markup`<g class="line limit"><line x1="${x}" x2="${x}" y1="${plot.top}" y2="${bottom}"/></g>
<g class="legend"><text class="centre" x="${x}" y="${height - 8}">${name}</text></g>`;
}

/** There is no room for more than four. */
function everyOther(ticks: readonly number[]): readonly number[] {
  return ticks.length <= 4 ? ticks : ticks.filter((_, index) => index % 2 === 0);
}

/** One worker as a row. */
import type { WorkerListing } from '../../../metadata/stores/store.js';
import { formatBytes } from '../../../observe/progress-format.js';
import { cut, html, type Html, nothing } from '../html.js';
import type { Freshness } from '../view/freshness.js';
import type { PayloadSize } from '../view/payload-sizes.js';
import type { WorkerView } from '../view/sources-view.js';
import { age, cell, code, pill, plural, type Tone } from './parts.js';

export const workerColumns = ['Worker', 'Rank', 'Status', 'Heartbeat', 'Load', 'Accelerator', 'Topology', 'Holds'] as const;

interface Rendered {
  readonly health: Freshness['health'];
  readonly size: PayloadSize | undefined;
  readonly markup: string;
}

const rendered = new WeakMap<WorkerListing, Rendered>();

/** As {@link workerRow}, the same string for as long as only its age changes: the browser sees to that. */
export function lastingWorkerRow(worker: WorkerView, size: PayloadSize | undefined, now: number): string {
  const { listing, freshness } = worker;
  const known = rendered.get(listing);
  if (known?.health === freshness.health && known.size === size) return known.markup;
  const markup = workerRow(worker, size, now).text;
  rendered.set(listing, { health: freshness.health, size, markup });
  return markup;
}

export function workerRow({ listing, updatedAt, freshness }: WorkerView, size: PayloadSize | undefined, now: number): Html {
  const { workerId, workerRank, statuses, accelerator } = listing;
  const said = freshness.health === 'silent' ? 'silent' : freshness.status;
  const ranks = statuses.length > 1 ? html` <span class="muted">and ${plural(statuses.length - 1, 'other')}</span>` : nothing;
  const name = `worker ${cut(workerId, 80)} of ${cut(listing.source.modelName, 80)}`;
  return html`<tr role="row" class="${freshness.health}" data-key="${workerId}" data-status="${said}" data-name="${name}">
    <th role="rowheader" scope="row" data-label="Worker">${code(workerId)}</th>
    ${[
      cell('Rank', html`${workerRank}${ranks}`),
      cell('Status', statusOf(freshness)),
      cell('Heartbeat', heartbeat(updatedAt, freshness, now)),
      cell('Load', load(listing.sourceLoad)),
      cell('Accelerator', cut(accelerator, 40)),
      cell('Topology', topology(listing.topology)),
      cell('Holds', holds(size)),
    ]}
  </tr>`;
}

const tones: Readonly<Record<string, Tone>> = { READY: 'good', INITIALIZING: 'busy', STALE: 'bad' };

function statusOf({ status, health }: Freshness): Html {
  if (health !== 'silent') return pill(tones[status] ?? 'quiet', status);
  return html`${pill('warn', 'silent')} <span class="muted">says ${status}</span>`;
}

function heartbeat(updatedAt: number, { health }: Freshness, now: number): Html {
  if (updatedAt <= 0) return html`<span class="muted">never</span>`;
  // The server put down when it was marked.
  if (health === 'stale') return html`STALE for ${age(updatedAt, now)}`;
  const late = health === 'late' ? html` <span class="muted">late</span>` : nothing;
  return html`<span class="beat">${age(updatedAt, now)} ago</span>${late}`;
}

function load(value: number | undefined): Html {
  if (value === undefined || !Number.isFinite(value)) return nothing;
  const percent = Math.round(Math.min(1, Math.max(0, value)) * 100);
  return html`<span class="load"><meter min="0" max="100" value="${percent}" aria-label="load"></meter> ${percent} %</span>`;
}

const mostPairs = 6;

function topology(pairs: Readonly<Record<string, string>>): Html {
  const entries = Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return nothing;
  const shown = entries.slice(0, mostPairs).map(([key, value]) => html`<span class="pair">${cut(key, 40)}=${cut(value, 60)}</span> `);
  const rest = entries.length > mostPairs ? html`<span class="muted">and ${entries.length - mostPairs} more</span>` : nothing;
  return html`${shown}${rest}`;
}

function holds(size: PayloadSize | undefined): Html {
  // A worker may serve its list itself.
  if (size === undefined || size.count === 0) return nothing;
  const things = plural(size.count, size.kind === 'tensors' ? 'tensor' : 'file');
  return size.bytes === undefined ? html`${things}` : html`${formatBytes(size.bytes)} <span class="muted">in ${things}</span>`;
}

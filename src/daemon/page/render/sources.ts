/** The list of sources: a card each, with its workers as a table. */
import { cut, html, type Html, join, nothing } from '../html.js';
import type { Region } from '../live/regions.js';
import type { SourceFacts } from '../view/source-facts.js';
import type { Counts, SourcesView, SourceView, WorkerView } from '../view/sources-view.js';
import { code, pill, plural, table } from './parts.js';
import { workerColumns } from './worker-row.js';

/** What a card consists of; in the browser each changes by itself. */
export interface CardContent {
  readonly head: Html;
  readonly rows: Html;
  readonly more: Html;
}

const emptyCard: CardContent = { head: nothing, rows: nothing, more: nothing };

export const cardRegions = { head: (id: string) => `head ${id}`, rows: (id: string) => `rows ${id}`, more: (id: string) => `more ${id}` };

/** The frame never changes for a source, so that what is in it stays in place. */
export function sourceCard({ id, facts }: SourceView, { head, rows, more }: CardContent = emptyCard): Html {
  return html`<article class="card" data-key="${id}">
    <div id="${cardRegions.head(id)}" class="head" data-region>${head}</div>
    ${table(
      'workers',
      html`Workers of ${cut(facts.modelName, 200)}, source ${id}`,
      workerColumns,
      html`<tbody role="rowgroup" id="${cardRegions.rows(id)}" data-region>
        ${rows}
      </tbody>`,
    )}
    <div id="${cardRegions.more(id)}" data-region>${more}</div>
  </article>`;
}

export function cardHead({ id, facts, counts }: SourceView): Html {
  return html`<div data-key="head">
    <div class="title">
      <h3>${cut(facts.modelName, 200)}</h3>
      <p class="counts">${tally(counts)}</p>
    </div>
    <dl class="facts">
      ${factsOf(id, facts).map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </div>`;
}

export function cardMore({ counts, workers }: SourceView): Html {
  if (workers.length === counts.workers) return nothing;
  return html`<p class="more" data-key="more">
    ${plural(workers.length, 'worker')} of ${counts.workers.toLocaleString('en-US')}, those that need a look among them. The filter finds
    the others.
  </p>`;
}

/** What stands where there is nothing to list, or below what is listed. */
export function sourcesNote({ totals, matching, sources }: SourcesView, filter: string, address: string): Html {
  if (totals.workers === 0) {
    return html`<div class="empty" data-key="empty">
      <h3>No source yet</h3>
      <p>A source is a model that somebody offers. On a machine that has the weights:</p>
      <pre><code>weightcast seed ./model --model-name my/model --server ${address}</code></pre>
      <p>It appears here as soon as it is up.</p>
    </div>`;
  }
  if (matching === 0) {
    return html`<div class="empty" data-key="empty">
      <h3>Nothing matches “${filter}”</h3>
      <p>
        Every word must be found in the model, the source, or one of its workers: an id, a status, an accelerator, <code>rank=3</code>,
        <code>rack=r1</code>.
      </p>
      <p><a href="/">Show all ${plural(totals.sources, 'source')}</a></p>
    </div>`;
  }
  if (sources.length === matching) return nothing;
  return html`<p class="more" data-key="more">
    ${plural(sources.length, 'source')} of ${matching.toLocaleString('en-US')}. The filter finds the others.
  </p>`;
}

/** Of every card, and what is in it. */
export function sourceRegions(view: SourcesView, note: Html, row: (worker: WorkerView) => string): [id: string, region: Region][] {
  const cards = new Map(view.sources.map((source) => [source.id, sourceCard(source).text]));
  if (note.text !== '') cards.set(' note', note.text);
  const regions: [string, Region][] = [['sources', cards]];
  for (const source of view.sources) {
    const more = cardMore(source).text;
    regions.push(
      [cardRegions.head(source.id), new Map([['head', cardHead(source).text]])],
      [cardRegions.rows(source.id), new Map(source.workers.map((worker) => [worker.listing.workerId, row(worker)]))],
      [cardRegions.more(source.id), new Map(more === '' ? [] : [['more', more]])],
    );
  }
  return regions;
}

function tally({ workers, ready, silent, initializing, stale }: Counts): Html {
  const parts: Html[] = [html`${plural(workers, 'worker')}`];
  if (ready > 0) parts.push(pill('good', `${ready.toLocaleString('en-US')} READY`));
  if (initializing > 0) parts.push(pill('busy', `${initializing.toLocaleString('en-US')} INITIALIZING`));
  if (silent > 0) parts.push(pill('warn', `${silent.toLocaleString('en-US')} silent`));
  if (stale > 0) parts.push(pill('bad', `${stale.toLocaleString('en-US')} STALE`));
  return join(parts.map((part) => html`${part} `));
}

function factsOf(id: string, facts: SourceFacts): [string, Html | string][] {
  const sizes: [string, number][] = [
    ['TP', facts.tensorParallelSize],
    ['PP', facts.pipelineParallelSize],
    ['EP', facts.expertParallelSize],
  ];
  const parallel = sizes.filter(([, size]) => size > 0).map(([name, size]) => `${name} ${String(size)}`);
  const all: [string, Html | string][] = [
    ['Source', code(id)],
    ['Type', facts.type === 'weights' ? '' : facts.type],
    ['Framework', cut(`${facts.framework} ${facts.frameworkVersion}`.trim(), 60)],
    ['Parallel', parallel.join(' · ')],
    ['Dtype', cut(facts.dtype, 40)],
    ['Quantization', cut(facts.quantization, 40)],
    ['Revision', code(facts.revision, 60)],
    ['Step', facts.trainingStep],
  ];
  return all.filter(([, value]) => (typeof value === 'string' ? value : value.text) !== '');
}

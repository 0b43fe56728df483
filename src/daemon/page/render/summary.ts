/** What there is to know at a glance: whether all is well, and the numbers. */
import { html, type Html } from '../html.js';
import type { SourcesView } from '../view/sources-view.js';
import type { TransferView } from '../view/transfers-view.js';
import { plural } from './parts.js';

/** One sentence. */
export function verdict({ totals: { workers, sources, ready, silent, stale, initializing } }: SourcesView): Html {
  const troubled = silent + stale;
  if (workers === 0) return html`<p data-key="verdict" class="verdict">Nothing is offered yet.</p>`;
  if (troubled > 0) {
    const parts = [
      silent > 0 ? `${silent.toLocaleString('en-US')} silent` : '',
      stale > 0 ? `${stale.toLocaleString('en-US')} STALE` : '',
    ].filter((part) => part !== '');
    return html`<p data-key="verdict" class="verdict warn">
      ${troubled.toLocaleString('en-US')} of ${plural(workers, 'worker')} ${troubled === 1 ? 'needs' : 'need'} a look: ${parts.join(', ')}.
    </p>`;
  }
  if (ready === workers) {
    const text =
      workers === 1 ? 'One worker of one source is READY.' : `All ${plural(workers, 'worker')} of ${plural(sources, 'source')} are READY.`;
    return html`<p data-key="verdict" class="verdict good">${text}</p>`;
  }
  const rest = initializing > 0 ? `, ${initializing.toLocaleString('en-US')} INITIALIZING` : '';
  return html`<p data-key="verdict" class="verdict">${ready.toLocaleString('en-US')} of ${plural(workers, 'worker')} READY${rest}.</p>`;
}

export function tiles({ totals }: SourcesView, transfers: readonly TransferView[]): Html {
  const running = transfers.filter(({ state }) => state === 'running').length;
  const all: [name: string, value: number, tone: string, href: string][] = [
    ['Sources', totals.sources, '', '#sources-title'],
    ['Workers', totals.workers, '', '#sources-title'],
    ['READY', totals.ready, 'good', '/?q=ready'],
    ['Silent', totals.silent, 'warn', '/?q=silent'],
    ['STALE', totals.stale, 'bad', '/?q=stale'],
    ['Transfers running', running, 'busy', '#transfers-title'],
  ];
  return html`<dl class="tiles" data-key="tiles">
    ${all.map(
      ([name, value, tone, href]) =>
        html`<div class="${value > 0 ? tone : ''}">
          <dt>${name}</dt>
          <dd><a href="${href}">${value.toLocaleString('en-US')}</a></dd>
        </div>`,
    )}
  </dl>`;
}

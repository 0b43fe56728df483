/** The page as a whole, as it is without JavaScript. With it, the elements marked `data-region` stay up to date. */
import { html, type Html, nothing } from '../html.js';
import { age } from './parts.js';

export interface DocumentParts {
  readonly version: string;
  /** Name of the store. */
  readonly backend: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly now: number;
  readonly filter: string;
  readonly notice: Html;
  readonly summary: Html;
  readonly sources: Html;
  readonly transfers: Html;
}

/** How often a browser without JavaScript asks again. Seconds. */
const reloadS = 5;

const icon = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0b5c6b"/>' +
    '<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"><path d="M9 23a1 1 0 1 0 .01 0"/><path d="M8 15a9 9 0 0 1 9 9"/><path d="M8 8a16 16 0 0 1 16 16"/></g></svg>',
)}`;

const mark = html`<svg class="mark" viewBox="0 0 32 32" width="36" height="36" aria-hidden="true">
  <rect width="32" height="32" rx="8"></rect>
  <path d="M9 23a1 1 0 1 0 .01 0"></path>
  <path d="M8 15a9 9 0 0 1 9 9"></path>
  <path d="M8 8a16 16 0 0 1 16 16"></path>
</svg>`;

export function renderDocument(parts: DocumentParts): Html {
  const { version, backend, startedAt, now, filter } = parts;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Weightcast metadata server</title>
        <link rel="icon" href="${icon}" />
        <link rel="stylesheet" href="/page.css" />
        <noscript><meta http-equiv="refresh" content="${reloadS}" /></noscript>
        <script type="module" src="/page.js"></script>
      </head>
      <body data-now="${now}">
        <a class="skip" href="#sources-title">Skip to the sources</a>
        <header>
          <div class="brand">
            ${mark}
            <div>
              <h1>Weightcast</h1>
              <p class="about">Metadata server ${version} · ${backend} store · up ${age(startedAt, now)}</p>
            </div>
          </div>
          <p id="live" class="live" role="status"><noscript>Reloads every ${reloadS} seconds</noscript></p>
        </header>
        <main>
          <div id="notice" data-region>${parts.notice}</div>
          <section id="summary" aria-label="Summary" data-region>${parts.summary}</section>
          <section aria-labelledby="sources-title">
            <div class="bar">
              <h2 id="sources-title" tabindex="-1">Sources</h2>
              <form id="filter" role="search" method="get" action="/">
                <label for="q" class="unseen">Filter sources and workers</label>
                <input
                  id="q"
                  name="q"
                  type="search"
                  value="${filter}"
                  placeholder="Filter: model, worker, status, rack=r1 …"
                  maxlength="${longestFilter}"
                  autocomplete="off"
                  spellcheck="false"
                />
                <noscript><button>Filter</button></noscript>
              </form>
            </div>
            <div id="sources" data-region>${parts.sources}</div>
          </section>
          <section aria-labelledby="transfers-title">
            <div class="bar"><h2 id="transfers-title" tabindex="-1">Transfers</h2></div>
            <div class="card">${parts.transfers}</div>
          </section>
        </main>
        <footer>
          <p>The same for scripts: <a href="/api/sources.json">sources.json</a>, <a href="/api/transfers.json">transfers.json</a></p>
        </footer>
        <p id="changes" class="unseen" aria-live="polite"></p>
      </body>
    </html> `;
}

/** Characters. */
export const longestFilter = 100;

export function storeNotice(storeAnswers: boolean, backend: string): Html {
  if (storeAnswers) return nothing;
  return html`<p class="notice" role="alert" data-key="store">
    <strong>The ${backend} store does not answer.</strong> Below is what it said last; the log of the server says more.
  </p>`;
}

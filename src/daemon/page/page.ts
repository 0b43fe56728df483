/** The live page of `weightcast serve`: sources, workers and transfers, for people. */
import type { ServerResponse } from 'node:http';
import { sendJson, sendText } from '../../http/answer.js';
import type { HttpHandler, Routes } from '../../http/routes.js';
import type { MetadataStore } from '../../metadata/stores/store.js';
import type { TransferLog } from '../../metadata/transfers/transfer-log.js';
import { assetRoutes } from './assets.js';
import { type Content, ContentBuilder } from './content.js';
import { Feed } from './live/feed.js';
import { Viewers } from './live/viewers.js';
import { longestFilter } from './render/document.js';
import { sourcesJson, transfersJson } from './view/api-json.js';
import { PayloadSizes } from './view/payload-sizes.js';

export interface PageOptions {
  readonly store: MetadataStore;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** A READY worker silent for longer is shown as silent. Milliseconds. */
  readonly heartbeatTimeoutMs: number;
  readonly transfers: TransferLog;
  /** Of Weightcast. */
  readonly version: string;
  /** Name of the store. */
  readonly backend: string;
  /** What seeds and targets take as `--server`; appears in hints. Default `HOST:8001`. */
  readonly address?: string;
  /** Pages that may be open with live updates at the same time; more are told to come back later. Default 64. */
  readonly mostViewers?: number;
}

export interface Page {
  readonly routes: Routes;
  /** Ends the streams of open pages and stops looking at the store, which is not closed. Idempotent. */
  close(): void;
}

/** Nothing may run or be loaded that does not come from this server; no markup can smuggle in a script. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** There is no authentication: whoever reaches the HTTP port sees what is listed, but neither tensors nor tokens. */
export function createPage(options: PageOptions): Page {
  const { store, clock, heartbeatTimeoutMs, transfers, version, backend, address = 'HOST:8001', mostViewers = 64 } = options;
  const feed = new Feed({ store, clock, transfers });
  const facts = { version, backend, startedAt: clock(), address, heartbeatTimeoutMs };
  const builder = new ContentBuilder(facts, new PayloadSizes(store));
  const viewers = new Viewers({
    feed,
    build: async (snapshot, filter) => builder.regions(await builder.content(snapshot, filter)),
    most: mostViewers,
  });
  const now = async (url: URL): Promise<Content> => builder.content(await feed.current(), filterOf(url));

  const page: HttpHandler = async (_request, response, url) => {
    const document = builder.document(await now(url));
    response.setHeader('content-security-policy', contentSecurityPolicy);
    sendText(response, 200, document, 'text/html; charset=utf-8');
  };
  const sources: HttpHandler = async (_request, response, url) => {
    const { view, storeAnswers } = await now(url);
    const uptimeMs = clock() - facts.startedAt;
    const server = { version, store: backend, storeAnswers, uptimeMs, heartbeatTimeoutMs };
    sendJson(response, 200, { server, ...sourcesJson(view, ({ listing }) => builder.sizes.of(listing)) });
  };
  const transfersHandler: HttpHandler = async (_request, response, url) => {
    const { view, transfers: shown } = await now(url);
    sendJson(response, 200, transfersJson(view.at, shown));
  };
  const events: HttpHandler = async (request, response, url) => {
    if (viewers.isFull) {
      tooMany(response);
      return;
    }
    if (request.method === 'HEAD') {
      response.setHeader('content-type', 'text/event-stream; charset=utf-8');
      response.end();
      return;
    }
    await viewers.add(response, filterOf(url));
  };
  return {
    routes: new Map([
      ['/', page],
      ['/api/sources.json', sources],
      ['/api/transfers.json', transfersHandler],
      ['/events', events],
      ...assetRoutes(),
    ]),
    close: () => {
      viewers.close();
      feed.close();
    },
  };
}

function filterOf(url: URL): string {
  return (url.searchParams.get('q') ?? '').trim().slice(0, longestFilter);
}

function tooMany(response: ServerResponse): void {
  response.setHeader('retry-after', '10');
  sendText(response, 503, 'too many pages are open; this one is not updated\n');
}

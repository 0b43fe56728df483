/** What a page shows at a moment, and its two forms: a document, and regions of an open page. */
import { html, type Html, join } from './html.js';
import type { Snapshot } from './live/feed.js';
import type { Region, Regions } from './live/regions.js';
import { renderDocument, storeNotice } from './render/document.js';
import { cardHead, cardMore, sourceCard, sourceRegions, sourcesNote } from './render/sources.js';
import { tiles, verdict } from './render/summary.js';
import { noTransfers, transferRow, transfersTable } from './render/transfers.js';
import { lastingWorkerRow, workerRow } from './render/worker-row.js';
import type { PayloadSizes } from './view/payload-sizes.js';
import { sourcesView, type SourcesView } from './view/sources-view.js';
import { transferView, type TransferView } from './view/transfers-view.js';

export interface Content {
  readonly view: SourcesView;
  readonly transfers: readonly TransferView[];
  readonly storeAnswers: boolean;
  readonly filter: string;
}

export interface ServerFacts {
  readonly version: string;
  readonly backend: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** What seeds and targets take as `--server`. */
  readonly address: string;
  readonly heartbeatTimeoutMs: number;
}

/** Filters whose content is kept as long as the snapshot is; others are made anew. */
const mostKept = 16;

/** Whoever asks for the same within a second gets the same, made once. */
export class ContentBuilder {
  readonly #facts: ServerFacts;
  readonly #contents = new WeakMap<Snapshot, Map<string, Promise<Content>>>();
  readonly #documents = new WeakMap<Content, string>();
  readonly sizes: PayloadSizes;

  constructor(facts: ServerFacts, sizes: PayloadSizes) {
    this.#facts = facts;
    this.sizes = sizes;
  }

  content(snapshot: Snapshot, filter: string): Promise<Content> {
    let contents = this.#contents.get(snapshot);
    if (contents === undefined) this.#contents.set(snapshot, (contents = new Map<string, Promise<Content>>()));
    const kept = contents.get(filter);
    if (kept !== undefined) return kept;
    const made = this.#make(snapshot, filter);
    if (contents.size < mostKept) contents.set(filter, made);
    return made;
  }

  document(content: Content): string {
    let document = this.#documents.get(content);
    if (document === undefined) {
      document = this.#render(content);
      this.#documents.set(content, document);
    }
    return document;
  }

  async #make({ at, listings, storeAnswers, transfers }: Snapshot, filter: string): Promise<Content> {
    const view = sourcesView(listings, { now: at, heartbeatTimeoutMs: this.#facts.heartbeatTimeoutMs, filter });
    await this.sizes.load(view.sources.flatMap((source) => source.workers.map((worker) => worker.listing)));
    return { view, transfers: transfers.map(transferView), storeAnswers, filter };
  }

  #render({ view, transfers, storeAnswers, filter }: Content): string {
    const { address, backend } = this.#facts;
    const cards = view.sources.map((source) =>
      sourceCard(source, {
        head: cardHead(source),
        rows: join(source.workers.map((worker) => workerRow(worker, this.sizes.of(worker.listing), view.at))),
        more: cardMore(source),
      }),
    );
    return renderDocument({
      ...this.#facts,
      now: view.at,
      filter,
      notice: storeNotice(storeAnswers, backend),
      summary: html`${verdict(view)}${tiles(view, transfers)}`,
      sources: html`${cards}${sourcesNote(view, filter, address)}`,
      transfers: transfersTable(transfers.length === 0 ? noTransfers(address) : join(transfers.map(transferRow))),
    }).text;
  }

  regions({ view, transfers, storeAnswers, filter }: Content): Regions {
    const { address, backend } = this.#facts;
    const row = (worker: SourcesView['sources'][number]['workers'][number]): string =>
      lastingWorkerRow(worker, this.sizes.of(worker.listing), view.at);
    return new Map<string, Region>([
      ['notice', named({ store: storeNotice(storeAnswers, backend) })],
      ['summary', named({ verdict: verdict(view), tiles: tiles(view, transfers) })],
      ...sourceRegions(view, sourcesNote(view, filter, address), row),
      ['transfers', this.#transfers(transfers)],
    ]);
  }

  #transfers(transfers: readonly TransferView[]): Region {
    if (transfers.length === 0) return new Map([[' none', noTransfers(this.#facts.address).text]]);
    return new Map(transfers.map((view) => [view.transfer.transferId, transferRow(view).text]));
  }
}

/** Pieces that are not empty, by key. */
function named(pieces: Readonly<Record<string, Html>>): Region {
  return new Map(
    Object.entries(pieces)
      .filter(([, piece]) => piece.text !== '')
      .map(([key, piece]) => [key, piece.text]),
  );
}

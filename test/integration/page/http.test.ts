/** The page over HTTP, without a browser. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ViewMessage } from '#src/daemon/page/browser/page/patch-message.js';
import { publish, READY, STALE, tensorSource } from '../../support/fleet.js';
import { DONE, id, report } from '../../support/transfer-reports.js';
import { servePage } from './support.js';

/** The messages of an event stream, as they come. */
class Events {
  readonly #lines: AsyncIterator<string>;

  private constructor(lines: AsyncIterator<string>) {
    this.#lines = lines;
  }

  static async open(test: TestContext, url: string): Promise<Events> {
    const abort = new AbortController();
    test.after(() => abort.abort());
    const response = await fetch(url, { signal: abort.signal });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.ok(response.body);
    return new Events(linesOf(response.body.pipeThrough(new TextDecoderStream())));
  }

  /** The next view; `undefined` when the stream has ended. */
  async view(): Promise<ViewMessage | undefined> {
    for (;;) {
      const line: IteratorResult<string, unknown> = await this.#lines.next();
      if (line.done === true) return undefined;
      if (line.value !== 'event: view') continue;
      const data = await this.#lines.next();
      return JSON.parse(String(data.value).replace(/^data: /, '')) as ViewMessage;
    }
  }
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

test('every answer forbids scripts and styles that are not files of this server', async () => {
  const { url } = await servePage();
  const page = await fetch(url);
  assert.equal(page.status, 200);
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(
    page.headers.get('content-security-policy'),
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(page.headers.get('cache-control'), 'no-store');
  const markup = await page.text();
  assert.doesNotMatch(markup, /<style|<script(?! type="module" src="\/page\.js"><)/);
});

test('the style sheet and the modules that the page loads are there, and asked for again only when changed', async () => {
  const { url } = await servePage();
  const wanted = ['/page.css', '/page.js'];
  const seen = new Set<string>();
  for (let path = wanted.shift(); path !== undefined; path = wanted.shift()) {
    seen.add(path);
    const file = await fetch(url + path);
    assert.equal(file.status, 200, path);
    assert.equal(file.headers.get('content-type'), path.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8');
    for (const [, name] of (await file.text()).matchAll(/^import .* from '(.+)';$/gm)) {
      const module = new URL(name ?? '', url + path).pathname;
      if (!seen.has(module)) wanted.push(module);
    }
    const etag = file.headers.get('etag') ?? '';
    assert.equal((await fetch(url + path, { headers: { 'if-none-match': etag } })).status, 304);
  }
  assert.ok(seen.size >= 5, [...seen].join(' '));
});

test('JSON says what the page says', async () => {
  const { url, store, transfers } = await servePage();
  const source = await publish(store, 'cafe01', {
    workerRank: 2,
    accelerator: 'cuda',
    updatedAt: BigInt(Date.now()),
    ...tensorSource(3, 100n),
  });
  await publish(store, 'cafe02', { workerRank: 3, status: STALE, updatedAt: 5n });
  transfers.report(report({ modelName: 'Test/Model', state: DONE, bytes: 300n, totalBytes: 300n, wireMs: 3n, elapsedMs: 10n }));
  const { server, totals, sources } = (await (await fetch(`${url}/api/sources.json?q=ready`)).json()) as {
    server: { version: string; store: string; storeAnswers: boolean };
    totals: object;
    sources: { sourceId: string; workers: object[] }[];
  };
  assert.equal(server.version, '1.2.3');
  assert.equal(server.store, 'memory');
  assert.equal(server.storeAnswers, true);
  assert.deepEqual(totals, { sources: 1, workers: 2, ready: 1, silent: 0, initializing: 0, stale: 1 });
  assert.equal(sources.length, 1);
  assert.equal(sources[0]?.sourceId, source);
  const [worker, ...others] = sources[0].workers as { updatedAt: number }[];
  assert.equal(others.length, 0, 'the filter counts');
  assert.deepEqual(
    { ...worker, updatedAt: 0 },
    {
      workerId: 'cafe01',
      rank: 2,
      status: 'READY',
      health: 'fresh',
      updatedAt: 0,
      accelerator: 'cuda',
      topology: {},
      holds: { kind: 'tensors', count: 3, bytes: 300 },
    },
  );
  const answer = (await (await fetch(`${url}/api/transfers.json`)).json()) as { transfers: Record<string, unknown>[] };
  const [transfer] = answer.transfers;
  assert.equal(transfer?.['transferId'], id(1));
  assert.equal(transfer['state'], 'done');
  assert.equal(transfer['bytesPerSecond'], 100_000);
});

test('an open page is told of what changes, within its filter', async (t) => {
  const { url, store } = await servePage();
  const all = await Events.open(t, `${url}/events`);
  const none = await Events.open(t, `${url}/events?q=nowhere`);
  const first = await all.view();
  assert.equal(first?.whole, true);
  assert.equal((await none.view())?.whole, true);
  const source = await publish(store, 'cafe01', { updatedAt: BigInt(Date.now()) });
  const appeared = await all.view();
  assert.equal(appeared?.whole, false);
  const rows = appeared.patch.find(([region]) => region === `rows ${source}`);
  assert.match(rows?.[2][0]?.[1] ?? '', /READY/);
  const elsewhere = await none.view();
  assert.ok(
    elsewhere?.patch.every(([region]) => region === 'summary' || region === 'sources'),
    JSON.stringify(elsewhere),
  );
  assert.doesNotMatch(JSON.stringify(elsewhere), /cafe01/);
  await store.updateStatus(source, 'cafe01', 0, { status: STALE, updatedAt: BigInt(Date.now()) });
  assert.match(JSON.stringify((await all.view())?.patch), /STALE/);
});

test('more pages than allowed are told to come back', async (t) => {
  const { url } = await servePage({ mostViewers: 1 });
  const first = await Events.open(t, `${url}/events`);
  await first.view();
  const second = await fetch(`${url}/events`);
  assert.equal(second.status, 503);
  assert.equal(second.headers.get('retry-after'), '10');
  await second.text();
  assert.equal((await fetch(url)).status, 200, 'the page itself is there for all');
});

test('HEAD of the stream ends', async () => {
  const { url } = await servePage();
  const head = await fetch(`${url}/events`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-type'), 'text/event-stream; charset=utf-8');
});

test('closing ends the streams', async (t) => {
  const { url, close } = await servePage();
  const events = await Events.open(t, `${url}/events`);
  await events.view();
  await close();
  assert.equal(await events.view(), undefined);
});

test('10 000 workers are a page of a few hundred rows, and JSON as short', async () => {
  const { url, store } = await servePage();
  for (let rank = 0; rank < 10_000; rank++)
    await publish(store, `w${String(rank)}`, { workerRank: rank, status: READY, updatedAt: BigInt(Date.now()) });
  const markup = await (await fetch(url)).text();
  assert.equal(markup.match(/<tr role="row" class="fresh"/g)?.length, 200);
  assert.match(markup, /200 workers of 10,000/);
  assert.ok(markup.length < 400_000, String(markup.length));
  const json = await (await fetch(`${url}/api/sources.json`)).text();
  assert.ok(json.length < 100_000, String(json.length));
  assert.match(await (await fetch(`${url}/?q=w9876`)).text(), /<code>w9876<\/code>/);
});

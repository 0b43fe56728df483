/** The page as markup, of data that wants to be markup itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Content, ContentBuilder } from '#src/daemon/page/content.js';
import { PayloadSizes } from '#src/daemon/page/view/payload-sizes.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { publish, READY, STALE, tensorSource } from '../../support/fleet.js';
import { DONE, FAILED, id, report } from '../../support/transfer-reports.js';

const now = 1_000_000;

interface Page {
  readonly builder: ContentBuilder;
  readonly store: MemoryStore;
  readonly log: TransferLog;
  readonly content: (filter?: string, storeAnswers?: boolean) => Promise<Content>;
}

function emptyPage(): Page {
  const store = new MemoryStore();
  const log = new TransferLog({ clock: () => now });
  const facts = { version: '1.2.3', backend: 'memory', startedAt: now - 7_200_000, address: '10.0.0.1:8001', heartbeatTimeoutMs: 90_000 };
  const builder = new ContentBuilder(facts, new PayloadSizes(store));
  const content = async (filter = '', storeAnswers = true): Promise<Content> =>
    builder.content({ at: now, listings: await store.list(), storeAnswers, transfers: log.list() }, filter);
  return { builder, store, log, content };
}

/** Text as people read it. */
function textOf(markup: string): string {
  return markup
    .replace(/<head>.*<\/head>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
}

test('an empty server says what to do next', async () => {
  const { builder, content } = emptyPage();
  const text = textOf(builder.document(await content()));
  assert.match(text, /Nothing is offered yet\./);
  assert.match(text, /weightcast seed \.\/model --model-name my\/model --server 10\.0\.0\.1:8001/);
  assert.match(text, /weightcast pull --model-name my\/model --server 10\.0\.0\.1:8001/);
  assert.match(text, /Metadata server 1\.2\.3 · memory store · up 2 h/);
});

test('a filter that matches nothing says so, and how to leave it', async () => {
  const { builder, store, content } = emptyPage();
  await publish(store, 'w');
  const markup = builder.document(await content('<nowhere>'));
  assert.match(markup, /Nothing matches “&lt;nowhere&gt;”/);
  assert.match(markup, /<a href="\/">Show all 1 source<\/a>/);
  assert.match(markup, /value="&lt;nowhere&gt;"/);
});

test('a store that does not answer is told of', async () => {
  const { builder, content } = emptyPage();
  assert.match(textOf(builder.document(await content('', false))), /The memory store does not answer\./);
  assert.doesNotMatch(textOf(builder.document(await content())), /does not answer/);
});

test('workers, with all that is known of them', async () => {
  const { builder, store, content } = emptyPage();
  const identity = { modelName: 'Qwen/Qwen2.5-7B', tensorParallelSize: 2, dtype: 'bfloat16', revision: 'e8152' };
  await publish(
    store,
    'cafe01',
    {
      workerRank: 1,
      accelerator: 'cuda',
      topology: { rack: 'r1', host: 'node7' },
      updatedAt: BigInt(now - 12_000),
      ...tensorSource(339, 1_000_000n),
    },
    identity,
  );
  const source = await publish(store, 'cafe02', { workerRank: 0, updatedAt: BigInt(now - 100_000) }, identity);
  await store.updateStatus(source, 'cafe01', 1, { status: READY, updatedAt: BigInt(now - 12_000), sourceLoad: 0.254 });
  await publish(store, 'cafe03', { workerRank: 2, status: STALE, updatedAt: BigInt(now - 180_000) }, identity);
  const text = textOf(builder.document(await content()));
  assert.match(text, /2 of 3 workers need a look: 1 silent, 1 STALE\./);
  assert.match(
    text,
    new RegExp(`Qwen/Qwen2.5-7B 3 workers 1 READY 1 silent 1 STALE Source ${source} Parallel TP 2 Dtype bfloat16 Revision e8152`),
  );
  assert.match(text, /cafe02 0 silent says READY 100 s ago/);
  assert.match(text, /cafe01 1 READY 12 s ago 25 % cuda host=node7 rack=r1 339\.00 MB in 339 tensors/);
  assert.match(text, /cafe03 2 STALE STALE for 3 min/);
});

test('transfers, with all that is known of them', async () => {
  const { builder, log, content } = emptyPage();
  const common = { modelName: 'm', workerId: 'cafe01', workerRank: 3, target: 'node9', transport: 'rdma' };
  log.report(report({ ...common, transferId: id(1), bytes: 5_000_000_000n, totalBytes: 20_000_000_000n, elapsedMs: 3000n, wireMs: 2000n }));
  log.report(
    report({ ...common, transferId: id(2), state: DONE, bytes: 8_000_000n, totalBytes: 8_000_000n, elapsedMs: 61_000n, wireMs: 4n }),
  );
  log.report(report({ ...common, transferId: id(3), state: FAILED, phase: 'connect', workerId: '', error: 'ERR_PEER_LOST: gone' }));
  const text = textOf(builder.document(await content()));
  assert.match(text, /m rank 3 cafe01 → to node9 running wire · RDMA 5\.00 GB of 20\.00 GB, 25 % 2\.500 GB\/s 3\.0 s/);
  assert.match(text, /m rank 3 cafe01 → to node9 done RDMA 8\.00 MB 2\.000 GB\/s 1 min 01 s/);
  assert.match(text, /m rank 3 not chosen → to node9 failed connect · RDMA ERR_PEER_LOST: gone/);
});

test('no name, id or text of others becomes markup, in the document or in what is sent later', async () => {
  const { builder, store, log, content } = emptyPage();
  const evil = `"'><script>alert(1)</script><img src=x onerror=alert(2)>`;
  const publication = { accelerator: evil, topology: { [evil]: evil }, updatedAt: BigInt(now) };
  const identity = { modelName: evil, dtype: evil, quantization: evil, revision: evil, backendFrameworkVersion: evil };
  await publish(store, evil, publication, identity);
  log.report(report({ modelName: evil, workerId: evil, target: evil, transport: evil, phase: evil, error: evil, state: FAILED }));
  const shown = await content(evil);
  const document = builder.document(shown).replace('<script type="module" src="/page.js"></script>', '');
  const sent = [...builder.regions(shown).values()].flatMap((region) => [...region.values()]).join('');
  for (const markup of [document, sent]) {
    assert.match(markup, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
    assert.doesNotMatch(markup, /<script|<img|"'>/);
    const withoutValues = markup.replace(/"[^"]*"/g, '""');
    assert.doesNotMatch(withoutValues, /<[a-z][^<>]*\son[a-z]+=/);
    assert.doesNotMatch(markup, /\sstyle=/, 'the content security policy forbids it');
  }
});

test('the document holds the very regions that are kept up to date', async () => {
  const { builder, store, log, content } = emptyPage();
  const source = await publish(store, 'w', { updatedAt: BigInt(now) });
  log.report(report());
  const shown = await content();
  const document = builder.document(shown);
  for (const [region, items] of builder.regions(shown)) {
    assert.ok(document.includes(`id="${region}"`), region);
    for (const key of items.keys()) assert.ok(document.includes(`data-key="${key}"`), `${region}: ${key}`);
  }
  assert.ok(document.includes(`id="rows ${source}"`));
});

test('a row is the same text until something but its age changes', async () => {
  const { builder, store, content } = emptyPage();
  const source = await publish(store, 'w', { updatedAt: BigInt(now - 1000) });
  const rowOf = (shown: Content): string => builder.regions(shown).get(`rows ${source}`)?.get('w') ?? '';
  const first = rowOf(await content());
  const later = await builder.content({ at: now + 5000, listings: await store.list(), storeAnswers: true, transfers: [] }, '');
  assert.equal(rowOf(later), first);
  const silent = await builder.content({ at: now + 95_000, listings: await store.list(), storeAnswers: true, transfers: [] }, '');
  assert.match(rowOf(silent), /silent/);
});

test('who asks for the same snapshot gets what was made once; another filter is another page', async () => {
  const { builder, store } = emptyPage();
  await publish(store, 'w');
  const snapshot = { at: now, listings: await store.list(), storeAnswers: true, transfers: [] };
  const content = await builder.content(snapshot, 'w');
  assert.equal(await builder.content(snapshot, 'w'), content);
  assert.notEqual(await builder.content(snapshot, ''), content);
  assert.notEqual(await builder.content({ ...snapshot }, 'w'), content);
  for (let filter = 0; filter < 1000; filter++) assert.equal((await builder.content(snapshot, String(filter))).filter, String(filter));
});

/** The page in a real browser, beside real processes: nothing on it is reloaded. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { MetadataClient } from '#src/metadata/client.js';
import { WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { openBrowser, whyNoBrowser } from '../../support/browser.js';
import { temporaryFolder } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { READY } from '../../support/fleet.js';
import { pull, Role, seed, summaryOf } from '../../support/roles.js';
import { unusedPort } from '../metadata/support.js';
import { weakTexts } from './in-page/contrast.js';
import { focusIsSeen, isDark, overflow, textBefore } from './in-page/looks.js';
import { structureFaults } from './in-page/structure.js';

const reason = whyNoBrowser();
const skip = process.env['CI'] === 'true' ? false : reason;
if (skip !== false) console.log(`skipped: ${skip}`);

const desktop: BrowserContextOptions = { viewport: { width: 1280, height: 900 } };
const phone: BrowserContextOptions = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

const hostileModel = '<script>window.broken = true</script>';
const hostileWorker = '"><img src=x onerror="window.broken=true">';

async function startServer(listen: string, httpPort: number): Promise<{ role: Role; address: string; url: string }> {
  const times = ['--heartbeat-timeout', '2', '--reaper-interval', '0.5'];
  const role = new Role(['serve', '--listen', listen, '--http-port', String(httpPort), '--metrics-port', '0', ...times]);
  const ready = await role.next();
  return { role, address: String(ready['address']), url: `http://${String(ready['http'])}/` };
}

/** Waits for what the page must come to show. */
async function shows(on: Page, selector: string, text: string | RegExp): Promise<Locator> {
  const found = on.locator(selector).filter({ hasText: text }).first();
  await found.waitFor({ timeout: 20_000 });
  return found;
}

const cards = (on: Page, count: number): Promise<true> =>
  eventually(`${String(count)} cards`, async () => (await on.locator('#sources article').count()) === count || undefined);

test('the page in Chromium', { skip, timeout: 120_000 }, async (t) => {
  const browser = await openBrowser();
  const { role: server, address, url } = await startServer('127.0.0.1:0', await unusedPort());
  const model = join(await temporaryFolder(), 'model');
  await generateModel(model, qwen2_5_7b({ scale: 64 }));
  const identity = [
    '--server',
    address,
    '--model-name',
    'Qwen/Qwen2.5-7B',
    '--dtype',
    'bfloat16',
    '--transport',
    'tcp',
    '--host',
    '127.0.0.1',
  ];
  /** What the browser complained of: errors of scripts, refused content. */
  const complaints: string[] = [];

  async function open(options: BrowserContextOptions): Promise<Page> {
    const page = await (await browser.newContext(options)).newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  /** Stays open from here to the end. */
  const page = await open(desktop);
  await page.evaluate(() => Reflect.set(globalThis, 'neverReloaded', true));

  await t.test('an empty server says what to do', async () => {
    await shows(page, '#live', 'Live');
    await shows(page, '#sources', 'No source yet');
    await shows(page, '#transfers', 'No transfer yet');
    await shows(page, '#sources pre', `--server ${address}`);
  });

  const { role: seeding } = await seed(model, [...identity, '--worker-id', 'cafe0001', '--heartbeat-interval', '0.5']);

  await t.test('a seed appears as READY', async () => {
    await shows(page, '#changes', 'worker cafe0001 of Qwen/Qwen2.5-7B: READY.');
    await shows(page, '#sources article', 'Qwen/Qwen2.5-7B');
    await shows(page, 'tr[data-key="cafe0001"][data-status="READY"]', /READY.* ago.*in 339 tensors/s);
    await shows(page, '.verdict', 'One worker of one source is READY.');
  });

  await t.test('ages tick', async () => {
    const uptime = page.locator('.about time');
    const first = await uptime.textContent();
    await eventually('another age', async () => (await uptime.textContent()) !== first || undefined);
  });

  await t.test('a pull is shown, done, with its rate', async () => {
    const { bytes } = summaryOf(await pull([...identity, '--discard']));
    const row = await shows(page, '#transfers tr[data-status="done"]', /Qwen\/Qwen2\.5-7B.*cafe0001.*→.*TCP/s);
    const text = await row.innerText();
    assert.ok(text.includes(`${(bytes / 1e6).toFixed(2)} MB`), text);
    assert.match(text, /[\d.]+ [GM]B\/s/);
  });

  await t.test('a pull that fails is shown with its reason', async () => {
    await pull(['--server', address, '--model-name', 'nobody/has-it', '--discard']);
    await shows(page, '#transfers tr[data-status="failed"]', /nobody\/has-it.*ERR_NO_SOURCE/s);
  });

  await t.test('a seed that is killed goes STALE', async () => {
    await seeding.stop('SIGKILL');
    await shows(page, 'tr[data-key="cafe0001"][data-status="STALE"]', 'STALE');
    await shows(page, '#changes', 'worker cafe0001 of Qwen/Qwen2.5-7B: now STALE.');
    await shows(page, '.verdict', '1 of 1 worker needs a look: 1 STALE.');
  });

  await t.test('names that are markup are shown as text', async () => {
    await using client = new MetadataClient(address);
    // Ahead of time, so that it stays READY.
    const live = { status: READY, updatedAt: BigInt(Date.now() + 3_600_000) };
    const worker = { ...WorkerMetadata.create(), ...live, accelerator: '<b>cuda</b>', topology: { rack: '<i>r1</i>' } };
    await client.publish({ identity: { modelName: hostileModel }, worker, workerId: hostileWorker });
    const reloaded = await open(desktop);
    for (const look of [page, reloaded]) {
      await shows(look, '#sources h3', hostileModel);
      await shows(look, '#sources tbody th code', hostileWorker);
      assert.equal(await look.evaluate(() => 'broken' in globalThis), false);
      assert.equal(await look.locator('#sources :is(img, script, b, i)').count(), 0);
    }
    await reloaded.context().close();
  });

  await t.test('the filter narrows the list, stands in the address, and survives a reload', async () => {
    const filtered = await open(desktop);
    const box = filtered.getByRole('searchbox');
    await box.pressSequentially('qwen stale');
    await cards(filtered, 1);
    await shows(filtered, '#sources article', 'Qwen/Qwen2.5-7B');
    assert.equal(new URL(filtered.url()).search, '?q=qwen+stale');
    await filtered.reload();
    assert.equal(await filtered.locator('#sources article').count(), 1);
    await box.fill('nowhere');
    await shows(filtered, '#sources', 'Nothing matches “nowhere”');
    await box.fill('');
    await cards(filtered, 2);
    await filtered.context().close();
  });

  await t.test('without JavaScript it is a table that reloads itself', async () => {
    const plain = await open({ ...desktop, javaScriptEnabled: false });
    assert.equal(await plain.locator('meta[http-equiv="refresh"]').getAttribute('content'), '5');
    assert.equal(await plain.locator('#live').innerText(), 'Reloads every 5 seconds');
    await shows(plain, 'tr[data-key="cafe0001"]', /STALE.*in 339 tensors/s);
    await shows(plain, '#transfers tr', 'done');
    await shows(plain, '#sources h3', hostileModel);
    await plain.getByRole('searchbox').fill('qwen');
    await plain.getByRole('button', { name: 'Filter' }).click();
    await plain.waitForURL(/\?q=qwen$/);
    assert.equal(await plain.locator('#sources article').count(), 1);
    await plain.context().close();
  });

  await t.test('on a phone nothing is wider than the screen, and every value has its label', async () => {
    const small = await open(phone);
    await shows(small, '#live', 'Live');
    assert.deepEqual(await small.evaluate(overflow), { page: 0, elements: [] });
    assert.equal(await small.evaluate(textBefore, 'tr[data-key="cafe0001"] td[data-label="Holds"]'), '"Holds"');
    assert.ok((await small.getByRole('row').getByRole('cell').count()) > 0, 'a card is still a row of a table to a screen reader');
    assert.deepEqual(await small.evaluate(weakTexts), []);
    await small.context().close();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    await t.test(`every text has enough contrast: ${colorScheme}`, async () => {
      const coloured = await open({ ...desktop, colorScheme });
      await shows(coloured, '#live', 'Live');
      assert.deepEqual(await coloured.evaluate(weakTexts), []);
      assert.equal(await coloured.evaluate(isDark), colorScheme === 'dark');
      await coloured.context().close();
    });
  }

  await t.test('tables, headings, labels and focus are what assistive technology needs', async () => {
    assert.deepEqual(await page.evaluate(structureFaults), []);
    assert.equal(await page.locator('#changes').getAttribute('aria-live'), 'polite');
    assert.equal(await page.locator('#live').getAttribute('role'), 'status');
    for (let stop = 0; stop < 8; stop++) {
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(focusIsSeen), true, `tab stop ${String(stop)}`);
    }
  });

  await server.stop('SIGKILL');
  await t.test('a server that goes away is told of', async () => {
    await shows(page, '#live', /^No news since .+; reconnecting …$/);
  });

  await startServer(address, Number(new URL(url).port));
  await t.test('and is found again', async () => {
    await shows(page, '#live', 'Live');
    await shows(page, '#sources', 'No source yet');
  });

  await t.test('all of this was one page that was never reloaded, and nothing went wrong in it', async () => {
    assert.equal(await page.evaluate(() => Reflect.get(globalThis, 'neverReloaded') === true), true);
    // Chromium reports every connection that a stream loses.
    const lost = /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE)/;
    assert.deepEqual(
      complaints.filter((text) => !lost.test(text)),
      [],
    );
  });
});

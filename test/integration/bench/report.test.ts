/** The page of a report in a real browser: of reports that were measured just now, and the sample of the documentation. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { BrowserContextOptions, Locator } from 'playwright-core';
import { reportPage } from '#src/bench/html/page.js';
import { fanoutReport, hardware, readReport, registerReport, sizeRow } from '../../unit/bench/reports.js';
import { openBrowser, whyNoBrowser } from '../../support/browser.js';
import { runCli } from '../../support/cli.js';
import { temporaryFolder } from '../../support/cluster.js';
import { weakTexts } from '../page/in-page/contrast.js';
import { isDark, overflow } from '../page/in-page/looks.js';
import { structureFaults } from '../page/in-page/structure.js';

const reason = whyNoBrowser();
const skip = process.env['CI'] === 'true' ? false : reason;
if (skip !== false) console.log(`skipped: ${skip}`);

const looks: readonly BrowserContextOptions[] = [
  { viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  { viewport: { width: 360, height: 740 }, isMobile: true, colorScheme: 'dark' },
];

/** Height of letters that can still be read on a phone. */
const leastLetterPx = 9;

async function assertReadable(text: Locator, file: string): Promise<void> {
  const [box, chart, letters] = await Promise.all([
    text.boundingBox(),
    text.locator('xpath=ancestor::*[local-name()="svg"]').boundingBox(),
    text.textContent(),
  ]);
  const shown = `${file}: ${String(letters)}`;
  assert.ok(box !== null && chart !== null, shown);
  assert.ok(box.height >= leastLetterPx, `${shown} is ${String(box.height)} px high`);
  assert.ok(box.x >= chart.x - 0.5 && box.x + box.width <= chart.x + chart.width + 0.5, `${shown} is cut off`);
}

test('the page of a report in Chromium', { skip, timeout: 60_000 }, async () => {
  const browser = await openBrowser();
  const folder = await temporaryFolder();
  const measured = join(folder, 'model.html');
  const args = ['bench', 'model', '--transport', 'tcp', '--scale', '64', '--repetitions', '1', '--quiet', '--report', measured];
  const { code, stderr } = await runCli(args);
  assert.equal(code, 0, stderr);

  const many = [2, 64, 4096, 65_536, 2 ** 20, 2 ** 23].map((bytes) =>
    sizeRow({ bytes, ceilingGBps: 12, averageGBps: Math.min(11, bytes / 1e4) }),
  );
  const perftest = many.map(({ bytes }) => ({ bytes, iterations: 5, peakGBps: 9, averageGBps: 8, commandLine: 'ib_read_bw' }));
  const made = {
    read: readReport({ link: hardware, sizes: many, perftest, noPerftest: '' }),
    fanout: fanoutReport(),
    register: registerReport(),
  };
  for (const [name, report] of Object.entries(made)) await writeFile(join(folder, `${name}.html`), reportPage(report));
  const sample = fileURLToPath(new URL('../../../../docs/bench-sample.html', import.meta.url));
  const charts: Readonly<Record<string, readonly string[]>> = {
    [sample]: ['Throughput over size', 'Latency of a lone read', 'Balance of the paths', 'One pull by phase'],
    [measured]: ['One pull by phase', 'Balance of the paths'],
    [join(folder, 'read.html')]: ['Throughput over size', 'Latency of a lone read', 'Balance of the paths', 'One pull by phase'],
    [join(folder, 'fanout.html')]: ['Rates of the targets'],
    [join(folder, 'register.html')]: ['Time to register'],
  };

  for (const options of looks) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    for (const [file, titles] of Object.entries(charts)) {
      await page.goto(pathToFileURL(file).href);
      assert.deepEqual(await page.locator('figure h2').allTextContents(), titles, file);
      assert.deepEqual(await page.evaluate(structureFaults), [], file);
      assert.deepEqual(await page.evaluate(weakTexts), [], file);
      assert.ok((await page.evaluate(overflow)).page <= 0, `${file} is wider than the screen`);
      assert.equal(await page.evaluate(isDark), options.colorScheme === 'dark');
      const texts = await page.locator('.chart text').all();
      await Promise.all(texts.map((text) => assertReadable(text, file)));
    }
    assert.deepEqual(complaints, []);
    assert.deepEqual(
      requests,
      Object.keys(charts).map((file) => pathToFileURL(file).href),
      'nothing but the file itself is asked for',
    );
    await context.close();
  }
});

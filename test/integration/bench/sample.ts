/**
 * Makes docs/bench-sample.html and its pictures, of a measurement on this machine:
 * `npx tsc -b test && node build/test/integration/bench/sample.js`.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { BrowserContextOptions } from 'playwright-core';
import { launchChromium } from '../../support/browser.js';
import { runCli } from '../../support/cli.js';

const docs = fileURLToPath(new URL('../../../../docs/', import.meta.url));
const page = `${docs}bench-sample.html`;

// Run again, the same file: an absolute path of this machine has no place in it.
const args = ['bench', 'read', '--transport', 'tcp', '--size', '4KiB,16KiB,64KiB,256KiB,1MiB,4MiB', '--iters', '2000'];
const { code, stdout, stderr } = await runCli([...args, '--report', 'bench-sample.html'], { cwd: docs, timeoutMs: 300_000 });
if (code !== 0) throw new Error(stderr);
console.log(stdout);

const browser = await launchChromium();
async function shoot(name: string, options: BrowserContextOptions, fullPage: boolean): Promise<void> {
  const opened = await (await browser.newContext(options)).newPage();
  await opened.goto(pathToFileURL(page).href);
  await opened.screenshot({ path: `${docs}images/${name}.png`, fullPage });
}

await shoot('bench-report', { viewport: { width: 1100, height: 900 } }, true);
await shoot(
  'bench-report-phone',
  { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, colorScheme: 'dark' },
  false,
);
await browser.close();

/** A real browser for tests of pages: Debian's Chromium, without a screen. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after } from 'node:test';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome'];

/** `WEIGHTCAST_CHROMIUM`, or what PATH has; `undefined` when there is none. */
function findChromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const given = process.env['WEIGHTCAST_CHROMIUM'];
  const candidates = given === undefined ? names.flatMap((name) => folders.map((folder) => join(folder, name))) : [given];
  return candidates.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Why tests that need a browser cannot run here; false when they can. */
export function whyNoBrowser(): string | false {
  return findChromium() === undefined && `no ${names.join(', ')} on PATH, and WEIGHTCAST_CHROMIUM names none`;
}

/** The caller closes it. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(String(whyNoBrowser()));
  // Its sandbox does not work as root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args });
}

/** Closed after the tests of the file. */
export async function openBrowser(): Promise<Browser> {
  const browser = await launchChromium();
  after(() => browser.close());
  return browser;
}

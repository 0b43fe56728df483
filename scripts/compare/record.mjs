// What every comparison leaves behind: build/compare/NAME.json, with what was measured, of what, and on how quiet a computer.
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { root } from '../testing/shell.mjs';
import { revision } from './revision.mjs';

/** Where comparisons keep what they make and measure. */
export const folder = path.join(root, 'build/compare');

/** Above this load average, something else wants the processors. */
const QUIET_LOAD = 0.7;

/** The load average before measuring; says so where it makes the figures noisy. */
export function loadBefore() {
  const [load] = loadavg();
  if (load > QUIET_LOAD) console.log(`this computer is busy (load average ${load.toFixed(1)}): the figures will be noisy`);
  return load;
}

/**
 * Prints whether a bar holds.
 * @param {boolean} holds
 * @param {string} bar for people, with what was measured
 */
export function judged(holds, bar) {
  console.log(`${holds ? 'holds' : 'FAILED'}: ${bar}`);
  return holds;
}

/**
 * @param {string} comparison its name, and that of the file
 * @param {{ title: string, unit: string, holds: boolean, loadAverageBefore: number, versions?: Record<string, string>,
 * [figures: string]: unknown }} what
 */
export function saveRecord(comparison, { versions, ...what }) {
  const file = path.join(folder, `${comparison}.json`);
  mkdirSync(folder, { recursive: true });
  const record = {
    schemaVersion: 1,
    comparison,
    date: new Date().toISOString(),
    ...what,
    versions: { node: process.version, ...versions, weightcast: revision() },
  };
  writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`every run: ${path.relative(root, file)}`);
}

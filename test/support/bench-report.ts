/** What `weightcast bench … --json` printed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Report } from '#src/bench/report/report.js';
import type { CliResult } from './cli.js';
import { type Schema, schemaFaults } from './json-schema.js';

/** The documented one. */
export const benchSchema = JSON.parse(readFileSync(new URL('../../../docs/bench-schema.json', import.meta.url), 'utf8')) as Schema;

/** The report of a run that went well, which follows the schema. */
export function benchReport<K extends Report['benchmark']>(kind: K, { code, stderr, json }: CliResult): Extract<Report, { benchmark: K }> {
  assert.equal(code, 0, stderr);
  assert.deepEqual(schemaFaults(benchSchema, json[0]), []);
  assert.equal(json[0]?.['benchmark'], kind);
  return json[0] as unknown as Extract<Report, { benchmark: K }>;
}

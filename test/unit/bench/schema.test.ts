import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { benchSchema as schema } from '../../support/bench-report.js';
import { schemaFaults } from '../../support/json-schema.js';
import { fanoutReport, hardware, modelReport, readReport, registerReport, sizeRow } from './reports.js';

describe('docs/bench-schema.json', () => {
  const perftest = [{ bytes: 65_536, iterations: 5, peakGBps: 1, averageGBps: 1, commandLine: 'ib_read_bw' }];
  for (const report of [
    readReport(),
    readReport({ link: hardware, sizes: [sizeRow({ ceilingGBps: 12.2, lone: null, cpu: null })], perftest, noPerftest: '' }),
    modelReport(),
    registerReport(),
    fanoutReport(),
  ]) {
    it(`describes a report of ${report.benchmark}`, () => {
      assert.deepEqual(schemaFaults(schema, JSON.parse(JSON.stringify(report))), []);
    });
  }

  it('has nothing that reports have not: one field more, one less and one of another kind are faults', () => {
    const report = readReport();
    const { timeline: _timeline, ...less } = report;
    assert.match(schemaFaults(schema, less).join(), /\$\.timeline is missing/);
    assert.match(schemaFaults(schema, { ...report, more: 1 }).join(), /\$\.more is not known/);
    assert.match(schemaFaults(schema, { ...report, tookMs: 'long' }).join(), /\$\.tookMs is no number/);
    assert.match(schemaFaults(schema, { ...report, sizes: [sizeRow({ iterations: 0 })] }).join(), /\$\.sizes\[0\]\.iterations is below 1/);
  });
});

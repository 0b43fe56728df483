import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compareReports } from '#src/bench/report/compare.js';
import { asKept, loadReport } from '#src/bench/report/load.js';
import type { Report } from '#src/bench/report/report.js';
import { temporaryFolder } from '../../support/cluster.js';
import { failsWith } from '../model/support.js';
import { fanoutReport, hardware, modelReport, readReport, registerReport, sizeRow, softRoce } from './reports.js';

const rate = (averageGBps: number): Report => readReport({ sizes: [sizeRow({ averageGBps })] });
const compare = (before: Report, now: Report, tolerance = 0.1): ReturnType<typeof compareReports> =>
  compareReports(asKept(before), asKept(now), tolerance);

describe('a comparison', () => {
  it('is a regression only beyond the tolerance', () => {
    assert.equal(compare(rate(2), rate(1.81)).regressed, false);
    assert.equal(compare(rate(2), rate(1.79)).regressed, true);
    assert.equal(compare(rate(2), rate(1.79), 0.2).regressed, false);
    assert.equal(compare(rate(2), rate(4)).regressed, false);
  });

  it('says of each figure what it was, is, and how much better it became', () => {
    const slower = registerReport({ ways: registerReport().ways.map((row) => ({ ...row, ms: { min: 20, median: 20, max: 20 } })) });
    const { figures, regressed } = compare(registerReport(), slower);
    assert.deepEqual(
      figures.map(({ name, unit, before, now, regressed: bad }) => [name, unit, before, now, bad]),
      [
        ['per tensor', 'ms', 60, 20, false],
        ['merged', 'ms', 10, 20, true],
      ],
    );
    assert.deepEqual(
      figures.map(({ gain }) => gain),
      [2, -0.5],
    );
    assert.ok(regressed);
  });

  it('is made of every kind of report', () => {
    const names = [readReport(), modelReport(), registerReport(), fanoutReport()].map((report) =>
      compare(report, report).figures.map(({ name, gain }) => (gain === 0 ? name : 'changed')),
    );
    assert.deepEqual(names, [['reads of 65536 bytes'], ['wire', 'whole pull'], ['per tensor', 'merged'], ['one target', 'all targets']]);
  });

  const settings = readReport().settings;
  const unlike: readonly (readonly [string, Report, Report, RegExp])[] = [
    ['of another kind', readReport(), modelReport({ machine: readReport().machine }), /benchmark was "read" and is "model"/],
    [
      'of other settings',
      readReport(),
      readReport({ settings: { ...settings, queuePairs: 8 } }),
      /settings was .* and is .*"queuePairs":8/,
    ],
    ['over another wire', readReport(), readReport({ link: hardware }), /transport was "tcp" and is "rdma"/],
    ['of software and hardware', readReport({ link: hardware }), readReport({ link: softRoce }), /software device was false and is true/],
    ['of other processors', readReport(), readReport({ machine: { ...readReport().machine, cores: 64 } }), /cores was 2 and is 64/],
    ['with the seed elsewhere', readReport(), readReport({ seed: 'elsewhere' }), /place of the seed/],
  ];
  for (const [what, before, now, says] of unlike) {
    it(`${what} is refused`, () => {
      assert.throws(() => compare(before, now), failsWith('ERR_INVALID_ARGUMENT', says));
    });
  }
});

describe('a report that was kept', () => {
  it('is read as --json printed it, with or without what followed, laid out or not', async () => {
    const file = join(await temporaryFolder(), 'old.json');
    const report = modelReport();
    for (const text of [
      `${JSON.stringify(report)}\n`,
      `${JSON.stringify(report)}\n{"comparison":{}}\n`,
      JSON.stringify(report, undefined, 2),
    ]) {
      await writeFile(file, text);
      assert.deepEqual(await loadReport(file), asKept(report));
    }
  });

  it('is refused when it is something else', async () => {
    const file = join(await temporaryFolder(), 'old.json');
    await assert.rejects(loadReport(file), failsWith('ERR_NOT_FOUND', /bench --compare/));
    for (const [text, says] of [
      ['', /is no report/],
      ['{"benchmark":"metadata","schemaVersion":1}', /benchmark/],
      [JSON.stringify({ ...readReport(), schemaVersion: 2 }), /schemaVersion/],
      [JSON.stringify({ ...readReport(), sizes: [{ bytes: 'many' }] }), /sizes\.0\.bytes/],
    ] as const) {
      await writeFile(file, text);
      await assert.rejects(loadReport(file), failsWith('ERR_INVALID_ARGUMENT', says));
    }
  });
});

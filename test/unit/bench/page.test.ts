import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linearAxis, logAxis } from '#src/bench/html/axis.js';
import { markup } from '#src/bench/html/markup.js';
import { reportPage } from '#src/bench/html/page.js';
import { short, sizeText, timeText } from '#src/bench/report/numbers.js';
import { fanoutReport, hardware, modelReport, readReport, registerReport, sizeRow } from './reports.js';

describe('markup', () => {
  it('escapes what is put in, once', () => {
    const name = '<img src=x onerror="a(\'b\')">&';
    const inner = markup`<b title="${name}">${name}</b>`;
    assert.equal(markup`<p>${inner}${[inner]}</p>`.text, `<p>${inner.text}${inner.text}</p>`);
    assert.equal(inner.text.includes('<img'), false);
    assert.match(inner.text, /&lt;img src=x onerror=&quot;a\(&#39;b&#39;\)&quot;&gt;&amp;/);
  });
});

describe('axes', () => {
  it('from 0 end at or above the largest value, in round steps', () => {
    for (const most of [0.037, 1, 4.8, 7, 99, 12_345]) {
      const { at, ticks } = linearAxis(most, 100, 0);
      assert.ok((ticks.at(-1) ?? 0) >= most * (1 - 1e-9) && ticks.length >= 3 && ticks.length <= 6, String(most));
      assert.equal(at(0), 100);
      assert.ok(at(most) >= -1e-9 && at(most) < 30);
    }
    assert.equal(linearAxis(0, 0, 10).at(0), 0);
  });

  it('of powers have all values on them, also a single one', () => {
    const { at, ticks } = logAxis([2, 2 ** 23], 2, 0, 100, 6);
    assert.deepEqual([at(2), at(2 ** 23)], [0, 100]);
    assert.ok(ticks.length <= 6);
    assert.equal(logAxis([65_536], 2, 0, 100, 6).at(65_536), 50);
  });
});

describe('numbers', () => {
  it('are as people read them', () => {
    assert.deepEqual([1, 1000, 4096, 65_536, 2 ** 23, 3 * 2 ** 30].map(sizeText), ['1 B', '1000 B', '4 KiB', '64 KiB', '8 MiB', '3 GiB']);
    assert.deepEqual([0, 0.000123456, 1.23456, 12_345.6].map(short), ['0', '0.000123', '1.23', '12346']);
    assert.deepEqual([12, 1234, 5_000_000].map(timeText), ['12 µs', '1.23 ms', '5 s']);
  });
});

describe('the page of a report', () => {
  const reports = [readReport(), modelReport(), registerReport(), fanoutReport()];

  it('asks for nothing and runs nothing', () => {
    for (const report of reports) {
      const page = reportPage(report);
      assert.doesNotMatch(page, /<script|<link|<img|<iframe|@import|url\(|style="|https?:/, report.benchmark);
      assert.match(page, /content="default-src &#39;none&#39;; style-src &#39;sha256-[\w+/]{43}=&#39;; base-uri/);
    }
  });

  it('says of software that it is none of hardware, and of hardware nothing of the kind', () => {
    const warning = 'class="warn">RDMA in software';
    assert.deepEqual(
      reports.map((report) => reportPage(report).includes(warning)),
      [false, false, true, true],
    );
  });

  it('draws the ceiling of a link and ib_read_bw only where they are known', () => {
    const plain = reportPage(readReport());
    assert.doesNotMatch(plain, /link ceiling<|>ib_read_bw</);
    assert.match(plain, /No ceiling: TCP\. No ib_read_bw: ib_read_bw needs RDMA\./);
    const perftest = [{ bytes: 65_536, iterations: 5, peakGBps: 1, averageGBps: 1, commandLine: 'ib_read_bw' }];
    const full = reportPage(readReport({ link: hardware, sizes: [sizeRow({ ceilingGBps: 12.2 })], perftest, noPerftest: '' }));
    for (const name of ['weightcast', 'ib_read_bw', 'link ceiling']) assert.match(full, new RegExp(`>${name}</text>`));
  });

  it('takes names as text', () => {
    const page = reportPage(
      readReport({ commandLine: '</code><b>', sizes: [sizeRow({ lanes: [{ name: '"><b>', bytes: 1, share: 1 }] })] }),
    );
    assert.doesNotMatch(page, /<b>/);
  });
});

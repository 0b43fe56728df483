import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProgressDisplay } from '#src/observe/progress.js';
import { RateMeter } from '#src/observe/progress-rate.js';
import { MemoryStream } from './memory-io.js';

const erase = '\r\u001b[2K';
const MB = 1_000_000n;

function display(options: { terminal: boolean; columns?: number; color?: boolean }): {
  show: ProgressDisplay;
  stream: MemoryStream;
  at: (ms: number) => void;
} {
  const stream = new MemoryStream(options.terminal, options.columns);
  let now = 0;
  const show = new ProgressDisplay({ label: 'pull', stream, color: options.color ?? false, now: () => now });
  return { show, stream, at: (ms) => (now = ms) };
}

/** What stands on the terminal's line in the end. */
function shown(stream: MemoryStream): string {
  return stream.text.slice(stream.text.lastIndexOf(erase) + erase.length);
}

describe('progress on a terminal', () => {
  it('is one line with bytes, GB/s and ETA', () => {
    const { show, stream, at } = display({ terminal: true, columns: 100 });
    show.update('wire', 0n, 400n * MB);
    at(1000);
    show.update('wire', 100n * MB, 400n * MB);
    assert.equal(shown(stream), 'pull  wire      [#######-----------------------]  25 %  100.00 MB/400.00 MB  0.100 GB/s  ETA 0:03');
    assert.ok(!stream.text.includes('\n'));
  });

  it('is redrawn at most every 100 ms, but at once for a new phase', () => {
    const { show, stream, at } = display({ terminal: true });
    show.update('wire', 1n, 10n);
    const once = stream.text;
    at(99);
    show.update('wire', 2n, 10n);
    assert.equal(stream.text, once);
    show.update('verify', 0n, 10n);
    assert.match(shown(stream), /^pull {2}verify/);
    at(300);
    show.update('verify', 5n, 10n);
    assert.match(shown(stream), /50 %/);
  });

  it('shows a phase without bytes by its name only', () => {
    const { show, stream } = display({ terminal: true });
    show.update('discover');
    assert.equal(shown(stream).trimEnd(), 'pull  discover');
  });

  it('never is wider than the terminal', () => {
    for (const columns of [20, 40, 60, 72, 80, 120]) {
      const { show, stream, at } = display({ terminal: true, columns });
      show.update('wire', 0n, 999_000n * MB);
      at(1000);
      show.update('wire', 123_456n * MB, 999_000n * MB);
      for (const line of stream.text.split(erase))
        assert.ok(line.length < columns, `${String(line.length)} of ${String(columns)}: ${line}`);
    }
  });

  it('is 100 % only when all is there', () => {
    const { show, stream, at } = display({ terminal: true });
    show.update('wire', 9999n, 10_000n);
    assert.match(shown(stream), / 99 %/);
    at(200);
    show.update('wire', 10_000n, 10_000n);
    assert.match(shown(stream), /100 %/);
  });

  it('has colour only when asked, and takes the bar away at the end', () => {
    const plain = display({ terminal: true, columns: 120 });
    plain.show.update('wire', 1n, 2n);
    assert.ok(!shown(plain.stream).includes('\u001b['));
    const colored = display({ terminal: true, columns: 120, color: true });
    colored.show.update('wire', 1n, 2n);
    assert.ok(shown(colored.stream).includes('\u001b[32m'));
    colored.show.finish();
    assert.equal(shown(colored.stream), '');
    colored.show.update('wire', 2n, 2n);
    assert.equal(shown(colored.stream), '', 'nothing is drawn after the end');
  });

  it('clears before a log line and draws again after it', () => {
    const { show, stream } = display({ terminal: true });
    show.update('wire', 1n, 2n);
    show.clear();
    assert.equal(shown(stream), '');
    show.update('wire', 1n, 2n);
    assert.match(shown(stream), /50 %/);
  });
});

describe('progress elsewhere', () => {
  it('is a plain line every three seconds', () => {
    const { show, stream, at } = display({ terminal: false });
    for (let ms = 0; ms <= 7000; ms += 500) {
      at(ms);
      show.update('wire', BigInt(ms) * 10_000n, 100n * MB);
    }
    show.finish();
    assert.deepEqual(stream.text.split('\n'), [
      'pull: wire 30 %, 30.00 MB of 100.00 MB, 10.0 MB/s, ETA 0:07',
      'pull: wire 60 %, 60.00 MB of 100.00 MB, 10.0 MB/s, ETA 0:04',
      '',
    ]);
  });

  it('is silent about what is quick', () => {
    const { show, stream, at } = display({ terminal: false });
    show.update('discover');
    at(2999);
    show.update('wire', 5n, 5n);
    show.finish();
    assert.equal(stream.text, '');
  });
});

describe('the rate', () => {
  it('looks at the last seconds only', () => {
    const meter = new RateMeter(1000);
    assert.ok(Number.isNaN(meter.bytesPerSecond));
    meter.sample(0, 0n);
    assert.ok(Number.isNaN(meter.bytesPerSecond));
    meter.sample(10_000, 10_000n);
    assert.equal(meter.bytesPerSecond, 1000);
    for (let ms = 10_100; ms <= 12_000; ms += 100) meter.sample(ms, 10_000n + BigInt(ms - 10_000) * 50n);
    assert.equal(Math.round(meter.bytesPerSecond), 50_000);
  });

  it('starts over when the count does', () => {
    const meter = new RateMeter();
    meter.sample(0, 0n);
    meter.sample(100, 1000n);
    meter.sample(200, 10n);
    assert.ok(Number.isNaN(meter.bytesPerSecond));
    meter.sample(300, 20n);
    assert.equal(meter.bytesPerSecond, 100);
  });
});

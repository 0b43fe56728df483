import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boundOf } from '#src/bench/measure/bound.js';
import { latencyOf } from '#src/bench/measure/latency.js';
import { fairness, totalGBps } from '#src/bench/fanout/together.js';
import { argumentsOf } from '#src/bench/perftest/run.js';
import { parsePerftest } from '#src/bench/perftest/parse.js';
import { findingsOf } from '#src/bench/read/findings.js';
import { planSize, sweep, Windows } from '#src/bench/read/plan.js';
import { lanesOf } from '#src/bench/read/row.js';
import type { PullResult } from '#src/target/index.js';
import { failsWith } from '../model/support.js';
import { hardware, sizeRow, softRoce, tcp } from './reports.js';

describe('the plan of a size', () => {
  it('makes at least as many reads as asked for, in five passes or more', () => {
    for (const [size, iterations, buffer] of [
      [65_536, 1000, 2 ** 28],
      [2 ** 20, 1000, 2 ** 26],
      [8, 3, 4096],
      [4096, 1, 4096],
      [2 ** 28, 7, 2 ** 28],
    ] as const) {
      const { readsPerPass, passes = 0 } = planSize(size, iterations, buffer);
      assert.ok(readsPerPass * passes >= iterations && readsPerPass >= 1);
      assert.ok(readsPerPass * size <= buffer, 'a pass reads no byte twice');
      assert.ok(passes >= Math.min(5, iterations));
    }
  });

  it('goes on until the time is over, where there is one', () => {
    assert.deepEqual(planSize(65_536, undefined, 2 ** 28), { size: 65_536, readsPerPass: 1024, passes: undefined });
    assert.equal(planSize(2 ** 27, undefined, 2 ** 28).readsPerPass, 2);
  });

  it('lets passes follow each other through the whole buffer', () => {
    const windows = new Windows(100);
    assert.deepEqual(
      [30, 30, 30, 30, 100].map((bytes) => windows.take(bytes)),
      [0, 30, 60, 0, 0],
    );
  });

  it("sweeps perftest's sizes", () => {
    assert.deepEqual([sweep[0], sweep.at(-1), sweep.length], [2, 2 ** 23, 23]);
  });
});

describe('what limits reads', () => {
  const figures = { averageGBps: 2, ceilingGBps: null, inFlightBytes: 262_144, cpu: null, lone: null };
  const lone = (p50Us: number): ReturnType<typeof latencyOf> => latencyOf([p50Us / 1000]);

  it('is the link at 95 % of its ceiling', () => {
    assert.equal(boundOf({ ...figures, averageGBps: 11.7, ceilingGBps: 12.255 }), 'link');
    assert.equal(boundOf({ ...figures, averageGBps: 11.5, ceilingGBps: 12.255 }), 'unknown');
  });

  it('is the processors when there are none idle', () => {
    assert.equal(boundOf({ ...figures, cpu: { targetCores: 1, seedCores: null, otherCores: 0.1, machineBusy: 0.9 } }), 'cpu');
    assert.equal(boundOf({ ...figures, cpu: { targetCores: 1, seedCores: null, otherCores: 0.1, machineBusy: 0.5 } }), 'unknown');
  });

  it('is what is in flight when a read takes no longer beside others than alone', () => {
    // 262 144 bytes at 2 GB/s: 131 µs each.
    assert.equal(boundOf({ ...figures, lone: lone(130) }), 'bytes in flight');
    assert.equal(boundOf({ ...figures, lone: lone(100) }), 'unknown');
  });

  it('is said with the figures and with what to change', () => {
    const inFlight = sizeRow({ bound: 'bytes in flight', averageGBps: 2.6 });
    const [overTcp] = findingsOf([inFlight], tcp, { outstanding: undefined, queuePairs: 2 });
    assert.match(overTcp ?? '', /^reads of 64 KiB, 2\.60 GB\/s: bytes in flight limit them: with 256 KiB under way .* 101 µs/);
    assert.match(overTcp ?? '', /--qp \(connections, 2 now\)/);
    const [overRdma] = findingsOf([inFlight], hardware, { outstanding: 4, queuePairs: undefined });
    assert.match(overRdma ?? '', /--outs \(4 now\) or --qp \(1 now\)/);
    const [software] = findingsOf([sizeRow({ bound: 'cpu' })], softRoce, { outstanding: undefined, queuePairs: undefined });
    assert.match(software ?? '', /60 % busy .* only hardware changes that/);
    const cpu = { targetCores: 0.4, seedCores: 0.4, otherCores: 1.1, machineBusy: 0.95 };
    const [others] = findingsOf([sizeRow({ bound: 'cpu', cpu })], tcp, { outstanding: undefined, queuePairs: undefined });
    assert.match(others ?? '', /all else 1\.10\); other programs take most of them/);
    const [link] = findingsOf([sizeRow({ bound: 'link', averageGBps: 12, ceilingGBps: 12.255 })], hardware, {
      outstanding: 1,
      queuePairs: 1,
    });
    assert.match(link ?? '', /98 % of its ceiling of 12\.3 GB\/s/);
  });

  it('names a path that carries much less than its part', () => {
    const lanes = [
      { name: 'fast', bytes: 80, share: 0.8 },
      { name: 'slow', bytes: 20, share: 0.2 },
    ];
    const findings = findingsOf([sizeRow({ lanes })], hardware, { outstanding: undefined, queuePairs: undefined });
    assert.equal(findings.at(-1), 'slow carried 20 % where 50 % is its part: it is slower than the others');
  });
});

describe('losses', () => {
  const depth = { outstanding: undefined, queuePairs: undefined };
  const lane = { name: 'mlx5_0>mlx5_1', bytes: 2 ** 26, share: 1 };

  it('are said of the row where they are worst, with what was done about them', () => {
    const few = sizeRow({ lanes: [{ ...lane, retransmits: 2 }] });
    const many = sizeRow({ bytes: 2 ** 20, lanes: [{ ...lane, retransmits: 163, smallestReadBytes: 65_536 }] });
    assert.equal(
      findingsOf([few, many], hardware, depth).at(-1),
      'mlx5_0>mlx5_1 loses packets: its port asked again 163 times while it brought 64 MiB, and reads of 1 MiB were cut down to 64 KiB; look at flow control (PFC, ECN), cables and switches',
    );
  });

  it('are not worth a word when they are far apart', () => {
    const rare = sizeRow({ lanes: [{ ...lane, bytes: 2 ** 34, retransmits: 2 }] });
    assert.ok(!findingsOf([rare, sizeRow({ lanes: [lane] })], hardware, depth).some((text) => text.includes('loses')));
  });
});

describe('figures of several', () => {
  it('latencies are nearest ranks in microseconds', () => {
    const times = Array.from({ length: 100 }, (_, index) => (100 - index) / 1000);
    const { samples, minUs, p50Us, p90Us, p99Us, maxUs } = latencyOf(times);
    assert.deepEqual([samples, minUs, p50Us, p90Us, p99Us, maxUs].map(Math.round), [100, 1, 50, 90, 99, 100]);
  });

  it('lanes of all passes are added by name', () => {
    const pass = (a: bigint, b: bigint): { name: string; bytes: bigint }[] => [
      { name: 'a', bytes: a },
      { name: 'b', bytes: b },
    ];
    assert.deepEqual(lanesOf([pass(10n, 20n), pass(20n, 50n)]), [
      { name: 'a', bytes: 30, share: 0.3 },
      { name: 'b', bytes: 70, share: 0.7 },
    ]);
  });

  it('lanes say what they lost, and how far reads were cut, where that was', () => {
    const pass = (
      retransmits: number,
      smallestReadBytes?: number,
    ): { name: string; bytes: bigint; retransmits: number; smallestReadBytes: number | undefined }[] => [
      { name: 'a', bytes: 1n, retransmits, smallestReadBytes },
    ];
    assert.deepEqual(lanesOf([pass(0), pass(3, 131_072), pass(4, 65_536)]), [
      { name: 'a', bytes: 3, share: 1, retransmits: 7, smallestReadBytes: 65_536 },
    ]);
    assert.deepEqual(lanesOf([pass(0)]), [{ name: 'a', bytes: 1, share: 1 }]);
  });

  it('fairness is 1 for equal rates, 1/N when one has everything', () => {
    assert.equal(fairness([3, 3, 3]), 1);
    assert.ok(Math.abs(fairness([1e6, 1e-6, 1e-6, 1e-6]) - 0.25) < 1e-6);
  });

  it('the total is over the time from the first start to the last end', () => {
    const pulled = (wireStartedAt: number, wireMs: number): Parameters<typeof totalGBps>[0][number] => ({
      wireStartedAt,
      wireMs,
      result: { bytes: 1_000_000n } as PullResult,
    });
    // 2 MB in 10 ms.
    assert.equal(totalGBps([pulled(100, 4), pulled(102, 8)]), 0.2);
  });
});

describe('ib_read_bw', () => {
  const output = `
---------------------------------------------------------------------------------------
                    RDMA_Read BW Test
 #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]
 65536      1000             88.10              87.79		   0.001405
---------------------------------------------------------------------------------------
`;
  it('is read in units of 2^20 bytes, whichever way they are written', () => {
    const expected = { bytes: 65_536, iterations: 1000, peakGBps: (88.1 * 2 ** 20) / 1e9, averageGBps: (87.79 * 2 ** 20) / 1e9 };
    assert.deepEqual(parsePerftest(output), expected);
    assert.deepEqual(parsePerftest(output.replaceAll('MB/sec', 'MiB/sec')), expected);
  });

  it('fails with what it printed when there is no result, or another unit', () => {
    assert.throws(() => parsePerftest("Couldn't find device"), failsWith('ERR_PROTOCOL', /Couldn't find device/));
    assert.throws(() => parsePerftest(output.replaceAll('MB/sec', 'Gb/sec')), failsWith('ERR_PROTOCOL', /printed no results/));
  });

  it('is asked for the same reads', () => {
    const depth = { outstanding: 8, queuePairs: 2 };
    assert.deepEqual(argumentsOf('rxe0', 1, 4096, { depth, run: { iterations: 1000 } }).slice(-8), [
      '-s',
      '4096',
      '-n',
      '1000',
      '-o',
      '8',
      '-q',
      '2',
    ]);
    const timed = argumentsOf('rxe0', 1, 4096, { depth: { outstanding: undefined, queuePairs: undefined }, run: { durationMs: 2500 } });
    assert.deepEqual(timed.slice(-6), ['-D', '3', '-o', '16', '-q', '1']);
  });
});

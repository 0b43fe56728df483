import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Load } from '#src/bench/load/job.js';
import { type Measured, measuredOf, rowOf } from '#src/bench/metadata/measured.js';
import { planOf, type Step } from '#src/bench/metadata/plan.js';
import { parseMetrics, parseProcess } from '#src/bench/server/usage.js';
import { benchOptions } from './support.js';

function load(latencies: readonly number[], rest: Partial<Load> = {}): Load {
  return { latencies: Float64Array.from(latencies), replyBytes: 0, elapsedMs: 1000, cpuMs: 100, refused: 0, ...rest };
}

describe('what generators report', () => {
  it('adds up over generators', () => {
    const measured = measuredOf(
      [load([4, 1], { replyBytes: 1_000_000 }), load([2, 3, 5, 9], { replyBytes: 2_000_000, elapsedMs: 2000, cpuMs: 1500, refused: 2 })],
      { cpuMs: 900, elapsedMs: 2000 },
    );
    assert.deepEqual(measured, {
      calls: 6,
      refused: 2,
      callsPerSecond: 4,
      p50Ms: 3,
      p99Ms: 9,
      replyBytes: 3_000_000,
      replyMBps: 2,
      serverCpuMs: 150,
      clientCpuMs: 1600 / 6,
      serverCores: 0.45,
      clientCores: 0.8,
      busiestClient: 0.75,
    });
  });

  it('is an error when nothing was answered', () => {
    assert.throws(() => measuredOf([load([], { refused: 3 })], undefined), { code: 'ERR_OVERLOADED' });
  });
});

describe('a row', () => {
  const step = planOf(benchOptions({ only: ['heartbeat'], connections: [1, 16] }), 'run').steps as [Step, Step];
  const quick: Measured = {
    ...measuredOf([load([1, 2, 3])], { cpuMs: 300, elapsedMs: 1000 }),
    busiestClient: 0.3,
    clientCores: 0.3,
  };

  it('has the spread over repetitions, and no CPU time that nobody told', () => {
    const slow = { ...quick, callsPerSecond: 1 };
    const row = rowOf(step[0], 2, [quick, slow, quick]);
    assert.deepEqual(row.callsPerSecond, { min: 1, median: 3, max: 3 });
    assert.equal(row.calls, 9);
    assert.equal(row.serverCpuMs?.median, 100);
    assert.equal(rowOf(step[0], 2, [quick, { ...quick, serverCpuMs: undefined }]).serverCpuMs, null);
  });

  for (const [bound, which, measured] of [
    ['one call at a time', 0, {}],
    ['unknown', 1, {}],
    ['server', 1, { serverCores: 0.97 }],
    ['load generators', 1, { busiestClient: 0.95 }],
    ['machine', 1, { serverCores: 0.8, clientCores: 1.1 }],
    ['limits of the server', 1, { serverCores: 0.97, refused: 1 }],
  ] as const) {
    it(`says that ${bound} held it up`, () => {
      assert.equal(rowOf(step[which], 2, [{ ...quick, ...measured }]).bound, bound);
    });
  }
});

describe('what is measured', () => {
  it('is what was asked for, over workers of every connection', () => {
    const { published, steps } = planOf(benchOptions({ only: ['publish', 'list'], connections: [2, 7], workers: 60 }), 'run');
    assert.deepEqual(
      steps.map(({ name, connections, heartbeatsPerSecond }) => [name, connections, heartbeatsPerSecond]),
      [
        ['publish', 2, undefined],
        ['publish', 7, undefined],
        ['list', 1, undefined],
        ['list', 1, 2],
      ],
    );
    assert.deepEqual(
      published.map(({ modelName, count }) => [modelName, count]),
      [
        ['weightcast-bench/calling-run', 7],
        ['weightcast-bench/listed-run', 60],
      ],
    );
  });
});

describe("a server's usage", () => {
  it('is read from /proc, whatever the name of the process', () => {
    const stat = '42 (no) de 7 (x) S 1 42 42 0 -1 4194304 1 2 3 4 150 25 9 9 20 0 11 0 1 2 3';
    const status = 'Name:\tnode\nVmHWM:\t  999 kB\nVmRSS:\t  2048 kB\n';
    assert.deepEqual(parseProcess(stat, status), { cpuMs: 1750, residentBytes: 2_097_152 });
  });

  it('is read from metrics, from the sum or from its parts', () => {
    const memory = 'process_resident_memory_bytes 1.5e6\n';
    const parts = `# HELP process_cpu_user_seconds_total x\nprocess_cpu_user_seconds_total 1.5 171000\nprocess_cpu_system_seconds_total{a="b"} 0.25\n`;
    assert.deepEqual(parseMetrics(parts + memory), { cpuMs: 1750, residentBytes: 1_500_000 });
    assert.deepEqual(parseMetrics(`process_cpu_seconds_total 2\n${parts}${memory}`), { cpuMs: 2000, residentBytes: 1_500_000 });
    assert.equal(parseMetrics(parts), undefined);
    assert.equal(parseMetrics(memory), undefined);
  });
});

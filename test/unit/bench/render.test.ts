import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandLine } from '#src/bench/command-line.js';
import { notesOf } from '#src/bench/metadata/notes.js';
import { renderReport } from '#src/cli/bench/metadata-table.js';
import type { CallsRow, MetadataReport } from '#src/bench/metadata/report.js';
import { benchOptions } from './support.js';

const flat = (value: number): CallsRow['p50Ms'] => ({ min: value, median: value, max: value });

const row: CallsRow = {
  name: 'get',
  connections: 1,
  heartbeatsPerSecond: 0,
  calls: 1000,
  refused: 0,
  callsPerSecond: { min: 90, median: 1234.5, max: 2000 },
  p50Ms: flat(12.345),
  p99Ms: flat(20),
  replyBytes: 7_500_000,
  replyMBps: flat(750),
  serverCpuMs: flat(1.9),
  clientCpuMs: flat(9.87),
  serverCores: flat(0.2),
  clientCores: flat(0.91),
  bound: 'load generators',
};

const report: MetadataReport = {
  schemaVersion: 1,
  benchmark: 'metadata',
  startedAt: '2026-01-02T03:04:05.000Z',
  tookMs: 65_000,
  commandLine: 'weightcast bench metadata',
  machine: {
    cpu: 'A CPU',
    cores: 2,
    memoryBytes: 8e9,
    platform: 'linux x64',
    kernel: '6.1',
    node: 'v20.19.0',
    weightcast: '0.1.0',
    loadAverage: 0.25,
  },
  server: { address: '127.0.0.1:1', own: true, store: 'memory', usageFrom: '/proc' },
  settings: {
    repetitions: 2,
    secondsPerMeasurement: 3,
    generators: 1,
    publishTensors: 64,
    publishRequestBytes: 9000,
    listWorkers: 10_000,
    getTensors: 50_000,
  },
  calls: [row],
  resident: {
    workers: 500,
    tensorsPerWorker: 2000,
    requestBytes: 300_000,
    repetitions: [
      { beforeBytes: 90e6, afterBytes: 165e6 },
      { beforeBytes: 90e6, afterBytes: 88e6 },
    ],
    bytesPer1000Workers: { min: -4e6, median: 73e6, max: 150e6 },
  },
  notes: ['read me'],
};

describe('the report as text', () => {
  it('says what was measured, on what, with spread and units', () => {
    const text = renderReport(report).join('\n');
    assert.match(text, /A CPU, 2 cores, 8\.00 GB, load 0\.25 before/);
    assert.match(
      text,
      /^get \(50,000 tensors, 7\.50 MB\) +1 +90\.0 \/ 1,235 \/ 2,000 +12\.3 \/ 12\.3 \/ 12\.3 +20\.0 \/ .+ 750 \/ 750 \/ 750 +1\.90 \/ .+ 9\.87 \/ .+load generators \(cores: server 0\.20, clients 0\.91\)$/m,
    );
    assert.match(text, /^500 workers of 2,000 tensors, requests of 300\.00 kB +90\.00 MB +165\.00 MB +150\.00 MB$/m);
    assert.match(text, /^spread +-4\.00 MB \/ 73\.00 MB \/ 150\.00 MB$/m);
    assert.match(text, /^note: read me$/m);
  });

  it('has a dash where nothing is known, and names refused calls and heartbeats', () => {
    const other: CallsRow = { ...row, name: 'list', heartbeatsPerSecond: 333.3, refused: 7, serverCpuMs: null, serverCores: null };
    const text = renderReport({ ...report, calls: [{ ...other, bound: 'limits of the server' }], resident: null }).join('\n');
    assert.match(text, /^ {2}with 333 heartbeats\/s +1 .* - .*limits of the server \(cores: clients 0\.91, 7 calls were refused\)$/m);
    assert.doesNotMatch(text, /RESIDENT/);
  });

  it('notes what is missing at a foreign server, and what is left there', () => {
    const notes = notesOf(benchOptions(), { address: 'a:1', own: false, store: 'unknown', usageFrom: null }).join('\n');
    assert.match(notes, /its own limits apply/);
    assert.match(notes, /not measured: give --metrics URL/);
    assert.match(notes, /is STALE now/);
    assert.doesNotMatch(notesOf(benchOptions(), report.server).join('\n'), /STALE|--metrics/);
  });
});

describe('the command line of a report', () => {
  it('is quoted where it must be, and has no password', () => {
    const argv = ['bench', 'metadata', '--redis-url', 'redis://me:pass@host:1/0', '--store-path', "a b's"];
    assert.equal(commandLine(argv), String.raw`weightcast bench metadata --redis-url redis://***@host:1/0 --store-path 'a b'\''s'`);
  });
});

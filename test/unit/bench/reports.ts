/** Reports as benchmarks make them, with figures that are easy to reckon with. */
import type { Link } from '#src/bench/link/link.js';
import type { FanoutReport, ModelReport, ReadReport, RegisterReport, SizeRow } from '#src/bench/report/report.js';
import type { Spread } from '#src/bench/statistics.js';

const flat = (value: number): Spread => ({ min: value, median: value, max: value });
const depth = { outstanding: null, queuePairs: null };

const machine = {
  cpu: 'A CPU',
  cores: 2,
  memoryBytes: 8e9,
  platform: 'linux x64',
  kernel: '6.1',
  node: 'v20.19.0',
  weightcast: '0.1.0',
  loadAverage: 0.25,
};

export const tcp: Link = { transport: 'tcp', transportReason: 'TCP was asked for', software: false, rails: [], noCeiling: 'TCP' };

/** A NIC of 100 Gb/s. */
export const hardware: Link = {
  transport: 'rdma',
  transportReason: '',
  software: false,
  rails: [{ device: 'mlx5_0', provider: 'mlx5', software: false, framing: 'RoCE v2, IPv4', mtu: 4096, rateGbps: 100 }],
  noCeiling: '',
};

export const softRoce: Link = {
  transport: 'rdma',
  transportReason: '',
  software: true,
  rails: ['rxe0', 'rxe1'].map((device) => ({
    device,
    provider: 'rxe',
    software: true,
    framing: 'RoCE v2, IPv4',
    mtu: 1024,
    rateGbps: null,
  })),
  noCeiling: 'rxe0, rxe1: RDMA in software has no rate of its own',
};

export function sizeRow(row: Partial<SizeRow> = {}): SizeRow {
  return {
    bytes: 65_536,
    iterations: 1000,
    passes: 5,
    peakGBps: 2.5,
    averageGBps: 2,
    messagesPerSecond: 30_000,
    passGBps: { min: 1.5, median: 2, max: 2.5 },
    ceilingGBps: null,
    inFlightBytes: 262_144,
    lone: { samples: 30, minUs: 90, p50Us: 100, p90Us: 120, p99Us: 900, maxUs: 900 },
    cpu: { targetCores: 0.5, seedCores: 0.6, otherCores: 0.1, machineBusy: 0.6 },
    lanes: [
      { name: 'tcp #1', bytes: 60, share: 0.6 },
      { name: 'tcp #2', bytes: 40, share: 0.4 },
    ],
    verifiedBytes: 65_536_000,
    bound: 'unknown',
    ...row,
  };
}

const base = {
  schemaVersion: 1,
  startedAt: '2026-01-02T03:04:05.000Z',
  tookMs: 1234.5,
  machine,
  findings: ['something limits it'],
  notes: ['something must be known'],
} as const;

const timeline = { discover: 5, prepare: 1, register: 0.5, connect: 2, wire: 30, verify: 8, write: 0.01 };

export function readReport(report: Partial<ReadReport> = {}): ReadReport {
  return {
    ...base,
    benchmark: 'read',
    commandLine: 'weightcast bench read',
    seed: 'own process',
    link: tcp,
    settings: { bufferBytes: 1e6, sizes: [65_536], iterations: 1000, seconds: null, ...depth },
    sizes: [sizeRow()],
    perftest: null,
    noPerftest: 'ib_read_bw needs RDMA',
    timeline,
    ...report,
  };
}

export function modelReport(report: Partial<ModelReport> = {}): ModelReport {
  const { discover, prepare, register, connect, wire, verify, write } = timeline;
  return {
    ...base,
    benchmark: 'model',
    commandLine: 'weightcast bench model',
    seed: 'elsewhere',
    link: hardware,
    settings: { shapes: 'qwen2.5-7b', scale: 8, repetitions: 3, ...depth },
    tensors: 339,
    bytes: 238_000_000,
    registrations: 1,
    workRequests: 228,
    wireGBps: flat(8),
    totalMs: flat(46),
    phases: {
      discover: flat(discover),
      prepare: flat(prepare),
      register: flat(register),
      connect: flat(connect),
      wire: flat(wire),
      verify: flat(verify),
      write: flat(write),
    },
    timeline,
    lanes: [{ name: 'mlx5_0>mlx5_0', bytes: 714_000_000, share: 1 }],
    cpu: null,
    ceilingGBps: 12.255,
    verifiedBytes: 714_000_000,
    ...report,
  };
}

export function registerReport(report: Partial<RegisterReport> = {}): RegisterReport {
  return {
    ...base,
    benchmark: 'register',
    commandLine: 'weightcast bench register',
    device: 'rxe0',
    software: true,
    settings: { shapes: 'llama-3-70b', scale: 32, repetitions: 3 },
    tensors: 723,
    bytes: 138_000_000,
    ways: [
      { way: 'per tensor', registrations: 723, ms: flat(60), usPerTensor: 83 },
      { way: 'merged', registrations: 1, ms: flat(10), usPerTensor: 13.8 },
    ],
    mergedIsFasterBy: 6,
    ...report,
  };
}

export function fanoutReport(report: Partial<FanoutReport> = {}): FanoutReport {
  return {
    ...base,
    benchmark: 'fanout',
    commandLine: 'weightcast bench fanout',
    seed: 'own process',
    link: softRoce,
    settings: { targets: 2, bufferBytes: 1e6, size: 65_536, repetitions: 3, ...depth },
    aloneGBps: flat(0.09),
    totalGBps: flat(0.1),
    targets: [
      { target: 1, GBps: flat(0.05) },
      { target: 2, GBps: flat(0.06) },
    ],
    fairness: flat(0.99),
    cpu: { targetCores: 1, seedCores: 1, otherCores: 0.1, machineBusy: 0.99 },
    verifiedBytes: 6_000_000,
    ...report,
  };
}

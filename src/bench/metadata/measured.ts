/** From what generators report to a row of the results. */
import { WeightcastError } from '../../errors.js';
import type { Load } from '../load/job.js';
import { quantile, type Spread, spreadOf } from '../statistics.js';
import type { Step } from './plan.js';
import type { Bound, CallsRow } from './report.js';

/** One repetition of one measurement. */
export interface Measured {
  readonly calls: number;
  readonly refused: number;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly replyBytes: number;
  readonly replyMBps: number;
  readonly serverCpuMs: number | undefined;
  readonly clientCpuMs: number;
  readonly serverCores: number | undefined;
  readonly clientCores: number;
  /** The busiest generator's share of a core: it has one thread that matters. */
  readonly busiestClient: number;
}

/**
 * @param server its CPU time over a span that is as long as the measurement; `undefined`: nobody told.
 * @throws ERR_OVERLOADED when every call was refused.
 */
export function measuredOf(loads: readonly Load[], server: { readonly cpuMs: number; readonly elapsedMs: number } | undefined): Measured {
  const latencies = concatenated(loads.map((load) => load.latencies)).sort();
  const calls = latencies.length;
  if (calls === 0) throw new WeightcastError('ERR_OVERLOADED', 'bench: the server refused every call: raise its limits, or wait a minute');
  const clientMs = sum(loads.map((load) => load.cpuMs));
  const elapsedMs = Math.max(...loads.map((load) => load.elapsedMs));
  return {
    calls,
    refused: sum(loads.map((load) => load.refused)),
    callsPerSecond: sum(loads.map((load) => (load.latencies.length / load.elapsedMs) * 1000)),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    replyBytes: sum(loads.map((load) => load.replyBytes)),
    replyMBps: sum(loads.map((load) => load.replyBytes / load.elapsedMs / 1000)),
    serverCpuMs: server === undefined ? undefined : server.cpuMs / calls,
    clientCpuMs: clientMs / calls,
    serverCores: server === undefined ? undefined : server.cpuMs / server.elapsedMs,
    clientCores: clientMs / elapsedMs,
    busiestClient: Math.max(...loads.map((load) => load.cpuMs / load.elapsedMs)),
  };
}

/** @param cores of the machine, if the server runs here too; else of the generators' machine alone. */
export function rowOf({ name, connections, heartbeatsPerSecond = 0 }: Step, cores: number, repetitions: readonly Measured[]): CallsRow {
  const of = (member: (measured: Measured) => number): Spread => spreadOf(repetitions.map(member));
  const told = repetitions.every((measured) => measured.serverCpuMs !== undefined);
  const calls = sum(repetitions.map((measured) => measured.calls));
  const row = {
    name,
    connections,
    heartbeatsPerSecond,
    calls,
    refused: sum(repetitions.map((measured) => measured.refused)),
    callsPerSecond: of((measured) => measured.callsPerSecond),
    p50Ms: of((measured) => measured.p50Ms),
    p99Ms: of((measured) => measured.p99Ms),
    replyBytes: sum(repetitions.map((measured) => measured.replyBytes)) / calls,
    replyMBps: of((measured) => measured.replyMBps),
    serverCpuMs: told ? of((measured) => measured.serverCpuMs ?? Number.NaN) : null,
    clientCpuMs: of((measured) => measured.clientCpuMs),
    serverCores: told ? of((measured) => measured.serverCores ?? Number.NaN) : null,
    clientCores: of((measured) => measured.clientCores),
  };
  return { ...row, bound: boundOf(row, of((measured) => measured.busiestClient).median, cores) };
}

/** A process that is busy for this share of its time waits for nothing else. */
const busy = 0.85;

function boundOf(row: Omit<CallsRow, 'bound'>, busiestClient: number, cores: number): Bound {
  if (row.refused > 0) return 'limits of the server';
  if ((row.serverCores?.median ?? 0) >= busy) return 'server';
  if (busiestClient >= busy) return 'load generators';
  if (row.serverCores === null) return 'unknown';
  if (row.serverCores.median + row.clientCores.median >= busy * cores) return 'machine';
  return row.connections === 1 ? 'one call at a time' : 'unknown';
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(sum(parts.map((part) => part.length)));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** What `bench metadata` finds: its JSON. */
import type { RunFacts } from '../run-facts.js';
import type { Spread } from '../statistics.js';

/** Changes with every change that a reader of the JSON would have to know of. */
export const schemaVersion = 1;

/** What kept a measurement from being faster. */
export type Bound = 'server' | 'load generators' | 'machine' | 'one call at a time' | 'limits of the server' | 'unknown';

/** Calls of one kind over some connections, each with one call under way at a time. Spreads are over repetitions. */
export interface CallsRow {
  readonly name: 'publish' | 'heartbeat' | 'list' | 'get';
  readonly connections: number;
  /** Heartbeats of the same workers that came at the same time, from others, at a steady pace; 0: none. */
  readonly heartbeatsPerSecond: number;
  /** Answered calls of all repetitions. */
  readonly calls: number;
  /** Calls that a limit of the server refused; not among `calls`. */
  readonly refused: number;
  /** Calls that were sent again count once. */
  readonly callsPerSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** Bytes of one reply, on average. */
  readonly replyBytes: number;
  /** 10^6 bytes of replies a second. */
  readonly replyMBps: Spread;
  /** CPU time of the server, user and system, for each call, with what those heartbeats took; null where nobody tells. */
  readonly serverCpuMs: Spread | null;
  /** The same of the load generators: what a call costs a client that does not decode. */
  readonly clientCpuMs: Spread;
  /** Cores that the server kept busy: 1 is one core. */
  readonly serverCores: Spread | null;
  readonly clientCores: Spread;
  readonly bound: Bound;
}

export interface ResidentRow {
  readonly workers: number;
  readonly tensorsPerWorker: number;
  /** Bytes of one worker's record in a request, its tensor list twice. */
  readonly requestBytes: number;
  /** Of the server's process, in each repetition, before and after the workers came. */
  readonly repetitions: readonly { readonly beforeBytes: number; readonly afterBytes: number }[];
  /** Growth, scaled to 1 000 workers. */
  readonly bytesPer1000Workers: Spread;
}

export interface MetadataReport extends RunFacts {
  readonly schemaVersion: typeof schemaVersion;
  readonly benchmark: 'metadata';
  readonly server: {
    readonly address: string;
    readonly own: boolean;
    readonly store: string;
    /** Where CPU time and memory come from; null: not measured. */
    readonly usageFrom: string | null;
  };
  readonly settings: {
    readonly repetitions: number;
    readonly secondsPerMeasurement: number;
    readonly generators: number;
    readonly publishTensors: number;
    readonly publishRequestBytes: number;
    readonly listWorkers: number;
    readonly getTensors: number;
  };
  readonly calls: readonly CallsRow[];
  readonly resident: ResidentRow | null;
  /** What must be known to read the figures. */
  readonly notes: readonly string[];
}

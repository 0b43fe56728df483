/** What `bench metadata` is asked for. */
import type { ClientSecurity } from '../../security/tls-files.js';
import type { Subject } from '../server/subject.js';
import type { BenchmarkName } from './names.js';

/** A server that runs. */
export interface ForeignServer {
  readonly address: string;
  /** Of its metrics; `undefined`: its CPU time and memory are not measured. */
  readonly metricsUrl: string | undefined;
  readonly security: ClientSecurity;
}

/** A server that is started to be measured, without limits of what one client may do. */
export interface OwnServer {
  /** The caller disposes of it. Rejects with what the server reports when it cannot start. */
  readonly start: (signal: AbortSignal) => Promise<Subject>;
}

export interface MetadataBenchOptions {
  /** One that runs, or what to start. */
  readonly server: ForeignServer | OwnServer;
  readonly only: readonly BenchmarkName[];
  readonly repetitions: number;
  /** Of one measurement, after a warm-up of a quarter of it. */
  readonly durationMs: number;
  /** Of publishes and heartbeats. */
  readonly connections: readonly number[];
  /** Of each worker that is published over and over. */
  readonly publishTensors: number;
  /** Of the source that is listed. */
  readonly workers: number;
  /** Of the worker that is got. */
  readonly tensors: number;
  readonly residentWorkers: number;
  readonly residentTensors: number;
  readonly signal: AbortSignal;
  /** What goes on, a line at a time. */
  readonly tell: (text: string) => void;
}

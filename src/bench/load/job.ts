/** What a load generator is told to do, and what it reports: messages between processes. */
import type { SourceStatus } from '../../gen/model_express/p2p.js';
import type { ClientSecurity } from '../../security/tls-files.js';

/** The workers of one source, numbered from 0, all alike. */
export interface WorkerSet {
  readonly modelName: string;
  /** Ids are this, `-` and a number. */
  readonly prefix: string;
  readonly count: number;
  /** Of each worker. */
  readonly tensors: number;
}

/** What is called. Worker w belongs to the connection w mod (number of connections). */
export type Calls =
  | { readonly method: 'publish'; readonly workers: WorkerSet }
  | { readonly method: 'heartbeat'; readonly workers: WorkerSet; readonly status: SourceStatus }
  /** The READY workers of that source; every reply must hold all of them. */
  | { readonly method: 'list'; readonly workers: WorkerSet }
  /** Worker 0. */
  | { readonly method: 'get'; readonly workers: WorkerSet };

export interface Job {
  readonly server: string;
  readonly security: ClientSecurity;
  readonly calls: Calls;
  /** Of all generators together. */
  readonly connections: number;
  /** Those of this generator. Each has one call under way at a time. */
  readonly mine: readonly number[];
  /** Uncounted at first, then counted. `undefined`: every worker once, all counted. */
  readonly time: { readonly warmUpMs: number; readonly durationMs: number } | undefined;
  /** Calls a second of each connection, evenly spread; `undefined`: each call right after the one before. */
  readonly pace?: number;
}

/** Of one generator. */
export interface Load {
  /** Of each answered call, in ms, unsorted. */
  readonly latencies: Float64Array;
  /** Of replies, without gRPC's frame. */
  readonly replyBytes: number;
  /** From the start to the last answer. */
  readonly elapsedMs: number;
  /** User and system, of the whole process. */
  readonly cpuMs: number;
  /** Calls that a limit of the server refused; they are not among the others. */
  readonly refused: number;
}

export type ToGenerator = { readonly type: 'prepare'; readonly job: Job } | { readonly type: 'go' } | { readonly type: 'stop' };

export type FromGenerator =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly load: Load }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

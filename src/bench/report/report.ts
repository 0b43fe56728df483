/** What `bench read`, `model`, `register` and `fanout` find: their JSON. docs/bench-schema.json says the same for programs. */
import type { Link } from '../link/link.js';
import type { Bound } from '../measure/bound.js';
import type { CpuUse } from '../measure/cpu.js';
import type { Latency } from '../measure/latency.js';
import type { RunFacts } from '../run-facts.js';
import type { Spread } from '../statistics.js';
import type { PullPhase } from '../../target/index.js';

/** Changes with every change that a reader of the JSON would have to know of. */
export const schemaVersion = 1;

interface ReportBase extends RunFacts {
  readonly schemaVersion: typeof schemaVersion;
  /** What limits the figures, and what to change, in sentences. */
  readonly findings: readonly string[];
  /** What must be known to read the figures. */
  readonly notes: readonly string[];
}

/** What one path carried. */
export interface LaneShare {
  /** `rxe0>rxe1` or `tcp #2`. */
  readonly name: string;
  readonly bytes: number;
  /** Of all paths together, 0 to 1. */
  readonly share: number;
  /** Times that its port asked for something again, where that was ever; RDMA. */
  readonly retransmits?: number;
  /** Bytes of the smallest reads that those of the row's size were cut into, where they were; RDMA. */
  readonly smallestReadBytes?: number;
}

/** Reads of one size. GB/s are 10^9 bytes a second of the wire phase. */
export interface SizeRow {
  /** Of one read. */
  readonly bytes: number;
  /** Reads. */
  readonly iterations: number;
  /** Each pass reads memory of its own, until the buffer is through. */
  readonly passes: number;
  /** Of the fastest pass. */
  readonly peakGBps: number;
  /** All bytes over all time. */
  readonly averageGBps: number;
  readonly messagesPerSecond: number;
  /** Over the passes. */
  readonly passGBps: Spread;
  /** Of the links together, with the headers of this size; null: none is claimed. */
  readonly ceilingGBps: number | null;
  readonly inFlightBytes: number;
  /** Time of single reads with nothing else under way, from starting them to the last byte; null: not measured. */
  readonly lone: Latency | null;
  /** During the wire phases; null: they were too short to say. */
  readonly cpu: CpuUse | null;
  readonly lanes: readonly LaneShare[];
  /** Bytes that were compared with what the seed has, after the clock had stopped. */
  readonly verifiedBytes: number;
  readonly bound: Bound;
}

/** A line of `ib_read_bw`, in our units. */
export interface PerftestRow {
  readonly bytes: number;
  readonly iterations: number;
  readonly peakGBps: number;
  readonly averageGBps: number;
  readonly commandLine: string;
}

export type Phases = Readonly<Record<PullPhase, number>>;

/** Where the seed was: a figure with both ends on one machine is another figure. */
export type SeedPlace = 'own process' | 'elsewhere';

export interface ReadReport extends ReportBase {
  readonly benchmark: 'read';
  readonly seed: SeedPlace;
  readonly link: Link;
  readonly settings: {
    readonly bufferBytes: number;
    readonly sizes: readonly number[];
    readonly iterations: number | null;
    readonly seconds: number | null;
    readonly outstanding: number | null;
    readonly queuePairs: number | null;
  };
  readonly sizes: readonly SizeRow[];
  /** null: not run, `noPerftest` says why. */
  readonly perftest: readonly PerftestRow[] | null;
  readonly noPerftest: string;
  /** Milliseconds of the phases of one pass, of the largest size: the pass in the middle. */
  readonly timeline: Phases;
}

export interface ModelReport extends ReportBase {
  readonly benchmark: 'model';
  readonly seed: SeedPlace;
  readonly link: Link;
  readonly settings: {
    readonly shapes: string;
    readonly scale: number;
    readonly repetitions: number;
    readonly outstanding: number | null;
    readonly queuePairs: number | null;
  };
  readonly tensors: number;
  readonly bytes: number;
  readonly registrations: number;
  readonly workRequests: number;
  /** Over the repetitions, as all spreads here. */
  readonly wireGBps: Spread;
  readonly totalMs: Spread;
  readonly phases: Readonly<Record<PullPhase, Spread>>;
  /** Of the repetition whose whole time is the one in the middle. */
  readonly timeline: Phases;
  readonly lanes: readonly LaneShare[];
  readonly cpu: CpuUse | null;
  readonly ceilingGBps: number | null;
  /** By the seed's checksums, in the phase `verify`, of every repetition. */
  readonly verifiedBytes: number;
}

/** One way to register the same memory. */
export interface RegisterRow {
  readonly way: 'per tensor' | 'merged';
  readonly registrations: number;
  readonly ms: Spread;
  readonly usPerTensor: number;
}

export interface RegisterReport extends ReportBase {
  readonly benchmark: 'register';
  readonly device: string;
  readonly software: boolean;
  readonly settings: { readonly shapes: string; readonly scale: number; readonly repetitions: number };
  readonly tensors: number;
  readonly bytes: number;
  readonly ways: readonly RegisterRow[];
  /** Time per tensor over time merged, of the medians. */
  readonly mergedIsFasterBy: number;
}

/** One of several targets that read at the same time. */
export interface TargetRow {
  readonly target: number;
  readonly GBps: Spread;
}

export interface FanoutReport extends ReportBase {
  readonly benchmark: 'fanout';
  readonly seed: SeedPlace;
  readonly link: Link;
  readonly settings: {
    readonly targets: number;
    readonly bufferBytes: number;
    readonly size: number;
    readonly repetitions: number;
    readonly outstanding: number | null;
    readonly queuePairs: number | null;
  };
  /** One target alone, before the others. */
  readonly aloneGBps: Spread;
  /** All bytes over the time from the first target's start to the last one's end. */
  readonly totalGBps: Spread;
  readonly targets: readonly TargetRow[];
  /** Jain's index of the targets' rates, of each repetition: 1 when all are alike, 1/N when one has everything. */
  readonly fairness: Spread;
  readonly cpu: CpuUse | null;
  readonly verifiedBytes: number;
}

export type Report = ReadReport | ModelReport | RegisterReport | FanoutReport;

/** What `bench read` is asked for. */
import type { Wire } from '../source/offer.js';
import type { Target } from '../source/target.js';

/** How reads are kept in flight. `undefined`: what a pull does by itself. */
export interface Depth {
  /** Reads outstanding on each queue pair. TCP has one on each connection. */
  readonly outstanding: number | undefined;
  /** Queue pairs a rail; connections over TCP. */
  readonly queuePairs: number | undefined;
}

export interface ReadBenchOptions {
  readonly target: Target;
  readonly wire: Wire;
  readonly depth: Depth;
  /** Bytes of a read, in the order of the rows. */
  readonly sizes: readonly number[];
  /** Reads of each size, or how long they are made, ms. */
  readonly run: { readonly iterations: number } | { readonly durationMs: number };
  /** Lone reads of each size, for their latency; 0: none. */
  readonly loneReads: number;
  /** Also run `ib_read_bw` where that makes sense. */
  readonly perftest: boolean;
  readonly signal: AbortSignal;
  /** What goes on, a line at a time. */
  readonly tell: (text: string) => void;
}

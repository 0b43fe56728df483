/** What a pull needs to read from one seed, whatever the transport. */
import type { NativeLane } from '../native.js';

/** A lane with the names that the result shows. */
export interface OpenLane {
  readonly lane: NativeLane;
  readonly localDevice: string | undefined;
  readonly remoteDevice: string | undefined;
}

/** What is needed to read from one seed. `close` gives everything back. */
export interface Connection {
  readonly transport: 'rdma' | 'tcp' | 'local';
  readonly lanes: readonly OpenLane[];
  /** Ranges that the peer lets us read. */
  readonly bufferAddress: BigUint64Array;
  readonly bufferLength: BigUint64Array;
  readonly maxSegments: number;
  /** Largest read that every lane can do, bytes. */
  readonly maxMessage: number;
  /** Largest read that is worth it with this peer, bytes: what is taken when the caller does not say. */
  readonly sliceBytes: number;
  /** Pairs that could not be connected while others were. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly sessionId: string;
  /** `undefined`: by the kind of peer. */
  readonly queuePairs: number | undefined;
  readonly readsInFlight: number;
  readonly connections: number;
  readonly stallTimeoutMs: number;
  /** Where the threads of a device's lanes are kept; `''`: nowhere. */
  readonly processorsOf: (device: string) => string;
  readonly signal: AbortSignal | undefined;
}

/** A transfer as the addon has it, from what it is to be to how it ended, and checksums: a part of `native.ts`. */
import type { NativeFault } from './native-fault.js';
import type { NativeRegion } from './native-memory.js';

/** A path that moves bytes: made once, used by one transfer. */
export interface NativeLane {
  readonly name: string;
  close(): Promise<void>;
}

export interface NativeTransferOptions {
  /** Columns, one row a wanted range: `localOffset` is inside of `regions[region]`. All of one length. */
  readonly remoteAddress: BigUint64Array;
  readonly length: BigUint64Array;
  readonly localOffset: BigUint64Array;
  readonly region: Uint32Array;
  readonly regions: readonly NativeRegion[];
  /** What the peer registered, columns; index = `remoteKeys` index of an RDMA lane. */
  readonly bufferAddress: BigUint64Array;
  readonly bufferLength: BigUint64Array;
  readonly lanes: readonly NativeLane[];
  /** Largest read, bytes. */
  readonly sliceBytes: number;
  /** Scatter elements of one read. */
  readonly maxSegments: number;
  readonly merge: boolean;
  /**
   * Checksums of the rows that are not 0, computed while the transfer runs by so many threads behind the lanes; the outcome's
   * `follower` has them. Absent: none. Nor are there any with `staging`, or when one of the regions is an accelerator's.
   */
  readonly checksums?: { readonly rows: Uint8Array; readonly threads: number };
  /**
   * Tells by `takeLanded` which chunks of so many bytes (at least 4096; the last may be shorter) of `regions[region]` are whole.
   * Absent: none.
   */
  readonly chunks?: { readonly region: number; readonly bytes: number };
  /**
   * Host memory that slices land in first, each to be copied on to where it belongs: for lanes that cannot write into a device's
   * memory. Divided evenly among the lanes, in slots of `sliceBytes`, of which each lane needs two (else `done` rejects with
   * INVALID_ARGUMENT). Pinned for the accelerators' drivers meanwhile. Lanes that need registrations have one, of this region; a lane's
   * limit of segments does not count.
   */
  readonly staging?: NativeRegion;
}

export interface NativeLaneOutcome {
  readonly name: string;
  readonly bytes: bigint;
  readonly workRequests: number;
  /** Times that the peer ended a connection (not: one of one answer, as its kind does) and a later one answered. */
  readonly reconnects: number;
  /** RDMA: times that the device's port asked for something again meanwhile, for whomever. */
  readonly retransmits: number;
  /** RDMA: bytes of the smallest reads that slices were cut into; 0 when none was. */
  readonly smallestRead: number;
  readonly firstByteMs: number;
  /** Why its thread is not kept on the lane's processors; `''` when it is, or there are none. */
  readonly affinityRefusal: string;
  /** Why the lane ended early; `undefined` when it did not. */
  readonly fault: NativeFault | undefined;
}

export interface NativeOutcome {
  readonly bytes: bigint;
  readonly planMs: number;
  readonly wireMs: number;
  readonly slices: number;
  readonly lanes: readonly NativeLaneOutcome[];
  /** The checksums, where some were asked for and every byte landed. */
  readonly follower: NativeFollower | undefined;
  /** Why not every byte landed; `undefined` on success. `done` resolves either way, so that lanes can be reported. */
  readonly fault: NativeFault | undefined;
}

export interface NativeProgress {
  readonly bytes: bigint;
  readonly totalBytes: bigint;
}

export interface NativeTransfer {
  /**
   * Resolves after every lane returned: no byte lands afterwards. Rejects only when planning failed (OUT_OF_RANGE) or there can be no
   * staging (INVALID_ARGUMENT, DEVICE).
   */
  readonly done: Promise<NativeOutcome>;
  /** Cheap; sample it. */
  progress(): NativeProgress;
  /**
   * Indices of the `chunks` whose bytes are all there, or that the transfer brings nothing of; each is told once. Cheap; ask again
   * and again. What is whole stays as it is, while lanes still write elsewhere.
   */
  takeLanded(): Uint32Array;
  /** Idempotent. `done` then resolves with a CANCELLED fault, once drained. */
  cancel(): void;
}

/** Checksums of a transfer that has ended; `native/transfer/follower.h`. It keeps no memory alive. */
export interface NativeFollower {
  /** Bytes that were hashed while the transfer ran. */
  readonly hashedBytes: bigint;
  /**
   * Hashes the rest: one XXH3-64 (seed 0) a row of the transfer, 0 where none was asked for. Once; throws CLOSED after that. The
   * task's progress is of the rest. Rejects with CANCELLED, CLOSED (a region was closed meanwhile), OUT_OF_MEMORY.
   */
  finish(threads: number): NativeChecksumTask;
}

export interface NativeChecksumTask {
  /** One XXH3-64 (seed 0) a range. Rejects with CANCELLED, IO, OUT_OF_RANGE. */
  readonly done: Promise<BigUint64Array>;
  progress(): NativeProgress;
  cancel(): void;
}

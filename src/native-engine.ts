/** Memory of another process as the addon has it: the part of `native.ts` that is about nothing else. */
import type { NativeRegion } from './native-memory.js';

/**
 * A connection to a process that owns an accelerator's memory; `native/engine/connection.h`. Whatever was imported over it holds it: the
 * other process sees its end when this handle was closed and the memory of every import is unmapped.
 */
export interface NativeEngine {
  /**
   * The next bytes; none: the engine has ended its side, or this handle was closed. Descriptors that come beside them are kept. One call at
   * a time. Rejects with PEER_LOST, OUT_OF_MEMORY (open files), IO, CLOSED.
   */
  receive(): Promise<Uint8Array>;
  /** Rejects with PEER_LOST, STALLED (the engine does not read), CLOSED. */
  send(bytes: Uint8Array): Promise<void>;
  /** How many descriptors came and were not used. Throws CLOSED. */
  descriptors(): number;
  /**
   * An allocation of CUDA device `ordinal`, all of it, by its handle (64 bytes). Rejects with INVALID_ARGUMENT (a handle of this process, more
   * bytes than it has), DEVICE_UNAVAILABLE, NOT_FOUND (no such device), OUT_OF_MEMORY, DEVICE, CLOSED.
   */
  importAllocation(ordinal: number, handle: Uint8Array, bytes: bigint, writable: boolean): Promise<NativeRegion>;
  /**
   * Chunks of virtual memory by the oldest descriptors, which are used up, one behind the other. Rejects with PROTOCOL (fewer descriptors
   * than chunks), INVALID_ARGUMENT (a chunk of no bytes), DEVICE_UNAVAILABLE, NOT_FOUND, OUT_OF_MEMORY, DEVICE, CLOSED.
   */
  importChunks(ordinal: number, chunkBytes: BigUint64Array, writable: boolean): Promise<NativeRegion>;
  /** Ends `receive`. Idempotent. */
  close(): Promise<void>;
}

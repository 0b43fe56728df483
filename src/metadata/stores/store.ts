import type { SourceStatus } from '../../gen/model_express/p2p.js';

/**
 * What a metadata server needs of its storage. Backends keep records as they are given; filters, freshness and messages
 * are the server's business (`semantics/`). Times are unix milliseconds.
 *
 * A record's key is (source, worker, rank). A worker normally has one rank; where it has several, the one published
 * last represents it in listings.
 *
 * Whatever a store hands out (listings, records, payloads, attributes, and the buffers in them) is immutable, and the
 * same object for as long as what it says is unchanged: a heartbeat makes a new record and a new listing, but keeps the
 * payload and the attributes. What is derived from these objects may therefore be kept beside them in a WeakMap. A store
 * that is shared with other processes may hand out another, equal object now and then; that costs time only.
 */

/** What a worker serves, still encoded. */
export type WorkerPayload =
  | {
      readonly kind: 'tensors';
      /** The fields of a `TensorSourceMetadata` message. */
      readonly entries: Buffer;
      /** Number of tensors in `entries`. */
      readonly count: number;
    }
  | {
      readonly kind: 'artifact';
      /** An `ArtifactSourceMetadata` message. */
      readonly message: Buffer;
    };

/** One published rank of a worker. */
export interface WorkerRecord {
  readonly workerRank: number;
  /** Numbers unknown to us are stored as they came. */
  readonly status: SourceStatus;
  /** As published, then of the last status update. */
  readonly updatedAt: bigint;
  readonly accelerator: string;
  readonly topology: Readonly<Record<string, string>>;
  /** Of the last status update; absent: unknown. */
  readonly sourceLoad?: number | undefined;
  /** The fields of a `WorkerMetadata` message without status, time and payload. */
  readonly envelope: Buffer;
  readonly payload: WorkerPayload;
}

/** What is known of a source as a whole; replaced by each publication. */
export interface SourceAttributes {
  readonly modelName: string;
  readonly trainingStep: bigint | undefined;
  readonly layoutSignature: string | undefined;
  /** A `SourceIdentity` message, as received. */
  readonly identity: Buffer;
}

/** A worker as listings see it: its representative rank, and the statuses of all of its ranks. */
export interface WorkerListing {
  readonly sourceId: string;
  readonly workerId: string;
  readonly source: SourceAttributes;
  readonly workerRank: number;
  readonly status: SourceStatus;
  readonly updatedAt: bigint;
  readonly accelerator: string;
  readonly topology: Readonly<Record<string, string>>;
  readonly sourceLoad: number | undefined;
  readonly statuses: readonly SourceStatus[];
}

export interface StatusUpdate {
  readonly status: SourceStatus;
  readonly updatedAt: bigint;
  readonly sourceLoad?: number | undefined;
}

export type StoreName = 'memory' | 'durable' | 'redis';

/** What `get` finds. The identity may have been lost where the worker was not. */
export interface StoredRecord {
  readonly worker: WorkerRecord;
  readonly source: SourceAttributes | undefined;
}

/** Every method rejects with an `Error` that says what failed when the backend does. */
export interface MetadataStore {
  readonly name: StoreName;
  /** Resolves when the backend can be used now; rejects with the reason when it cannot. Cheap enough for a readiness probe. */
  check(): Promise<void>;
  /**
   * Inserts or replaces the record of its rank; that rank now represents the worker. Resolves when it is as safe as the
   * store can make it: a publication that was acknowledged must not get lost.
   */
  publish(sourceId: string, workerId: string, source: SourceAttributes, worker: WorkerRecord): Promise<void>;
  /**
   * All workers, or those of one source, in no defined order. The array, too, is the same for as long as nothing in it
   * has changed, where one source is asked for.
   */
  list(sourceId?: string): Promise<readonly WorkerListing[]>;
  /** The worker's lowest rank with its live status; `undefined` when there is none. */
  get(sourceId: string, workerId: string): Promise<StoredRecord | undefined>;
  /**
   * Sets status, time and load of a rank. Resolves to false when there is no such record. With `ifUpdatedAt`, also when
   * the record's time is another by now: so a reaper cannot undo a heartbeat or a publication that came after its look.
   */
  updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, ifUpdatedAt?: bigint): Promise<boolean>;
  /**
   * Removes a worker with all of its ranks, and its source when it was the last. Resolves to false when there was
   * none, or when its representative rank's time is no longer `ifUpdatedAt`.
   */
  removeWorker(sourceId: string, workerId: string, ifUpdatedAt?: bigint): Promise<boolean>;
  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

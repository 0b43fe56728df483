import type { SourceStatus } from '../../gen/model_express/p2p.js';

/**
 * What a metadata server needs of its storage. Backends keep records as they are given; filters, freshness and messages
 * are the server's business (`semantics/`). Times are unix milliseconds.
 *
 * A record's key is (source, worker, rank). A worker normally has one rank; where it has several, the one published
 * last represents it in listings.
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

/** Every method rejects with an `Error` that says what failed when the backend does. */
export interface MetadataStore {
  /** Inserts or replaces the record of its rank; that rank now represents the worker. */
  publish(sourceId: string, workerId: string, source: SourceAttributes, worker: WorkerRecord): Promise<void>;
  /** All workers, or those of one source, in no defined order. */
  list(sourceId?: string): Promise<WorkerListing[]>;
  /** The worker's lowest rank with its live status; `undefined` when there is none. */
  get(sourceId: string, workerId: string): Promise<{ worker: WorkerRecord; source: SourceAttributes | undefined } | undefined>;
  /**
   * Sets status, time and load of a rank. Resolves to false when there is no such record. With `unlessNewerThan`, also
   * when the record was updated after that time: so a reaper cannot undo a heartbeat that arrived after its look.
   */
  updateStatus(sourceId: string, workerId: string, workerRank: number, update: StatusUpdate, unlessNewerThan?: bigint): Promise<boolean>;
  /**
   * Removes a worker with all of its ranks, and its source when it was the last. Resolves to false when there was
   * none, or when its representative rank was updated after `unlessNewerThan`.
   */
  removeWorker(sourceId: string, workerId: string, unlessNewerThan?: bigint): Promise<boolean>;
  close(): Promise<void>;
}

/** What the server tells about itself while it works; the daemon makes metrics of it. Every method returns at once and never throws. */

/** How a call ended. In-band failures count by their kind, since their gRPC status is always OK. */
export type CallOutcome =
  | 'ok'
  | 'invalid_argument'
  | 'not_found'
  | 'backend_error'
  | 'unauthenticated'
  | 'permission_denied'
  | 'overloaded'
  | 'cancelled'
  | 'error';

export type StoreOperation = 'publish' | 'list' | 'get' | 'update_status' | 'remove_worker';

/** What the reaper does to silent workers. */
export type ReaperAction = 'marked_stale' | 'removed';

export interface ServerObserver {
  /** @param method for example `PublishMetadata`. */
  callStarted(method: string): void;
  /** Each started call ends once. */
  callEnded(method: string, outcome: CallOutcome, seconds: number): void;
  /** A call that was refused before it started. */
  callRejected(method: string, outcome: CallOutcome): void;
  storeOperation(operation: StoreOperation, ok: boolean, seconds: number): void;
  workerReaped(action: ReaperAction): void;
}

export const silentObserver: ServerObserver = {
  callStarted: () => undefined,
  callEnded: () => undefined,
  callRejected: () => undefined,
  storeOperation: () => undefined,
  workerReaped: () => undefined,
};

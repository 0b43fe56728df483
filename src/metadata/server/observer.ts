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

export interface ServerObserver {
  /** @param method for example `PublishMetadata`. */
  callStarted(method: string): void;
  /** Each started call ends once. */
  callEnded(method: string, outcome: CallOutcome, seconds: number): void;
  storeOperation(operation: StoreOperation, ok: boolean, seconds: number): void;
}

export const silentObserver: ServerObserver = {
  callStarted: () => undefined,
  callEnded: () => undefined,
  storeOperation: () => undefined,
};

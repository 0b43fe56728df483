/** How the addon fails: a part of `native.ts`, below `errors.ts`, which makes public errors of it. */

/** Fields that the addon sets on the errors that it throws or rejects with. */
export interface NativeFault extends Error {
  /** One of the native status codes, for example `MEMLOCK_LIMIT`. Mapped in `errors.ts`. */
  readonly nativeCode: NativeCode;
  /** The C call that failed, for example `ibv_reg_mr`; `''` if none. */
  readonly call: string;
  /** `errno` of that call; 0 if none. */
  readonly errno: number;
  /** `ibv_wc_status` of the completion that failed; 0 if none. */
  readonly wcStatus: number;
  readonly vendorError: number;
}

/** `native/common/status.h`, `enum class Code`. */
export type NativeCode =
  | 'INVALID_ARGUMENT'
  | 'RDMA_UNAVAILABLE'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'MEMLOCK_LIMIT'
  | 'OUT_OF_MEMORY'
  | 'REGISTRATION'
  | 'VERBS'
  | 'OUT_OF_RANGE'
  | 'PEER_LOST'
  | 'REMOTE_ACCESS'
  | 'PROTOCOL'
  | 'STALLED'
  | 'CANCELLED'
  | 'CLOSED'
  | 'IO'
  | 'DEVICE_UNAVAILABLE'
  | 'DEVICE'
  | 'INTERNAL';

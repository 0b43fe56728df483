/** The exit codes of the command, and the one table from error codes to them. `docs/cli.md` lists the same. */
import type { ErrorCode } from '../errors.js';

export const ExitCode = {
  ok: 0,
  internal: 1,
  usage: 2,
  notFound: 3,
  unreachable: 4,
  integrity: 5,
  transportUnavailable: 6,
  resources: 7,
  transferFailed: 8,
  /** `bench --compare`: slower than before. */
  regression: 9,
  /** 128 + SIGINT. */
  interrupted: 130,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const byErrorCode: Readonly<Record<ErrorCode, ExitCode>> = {
  ERR_INVALID_ARGUMENT: ExitCode.usage,
  ERR_NATIVE_UNAVAILABLE: ExitCode.transportUnavailable,
  ERR_RDMA_UNAVAILABLE: ExitCode.transportUnavailable,
  ERR_TRANSPORT_UNAVAILABLE: ExitCode.transportUnavailable,
  ERR_DEVICE_NOT_FOUND: ExitCode.transportUnavailable,
  ERR_ACCELERATOR_UNAVAILABLE: ExitCode.transportUnavailable,
  ERR_ACCELERATOR: ExitCode.transferFailed,
  ERR_MEMLOCK_LIMIT: ExitCode.resources,
  ERR_OUT_OF_MEMORY: ExitCode.resources,
  ERR_REGISTRATION: ExitCode.resources,
  ERR_DISK_FULL: ExitCode.resources,
  ERR_SERVER_UNREACHABLE: ExitCode.unreachable,
  ERR_SERVER: ExitCode.unreachable,
  ERR_PUBLISH_REFUSED: ExitCode.unreachable,
  ERR_UNAUTHENTICATED: ExitCode.unreachable,
  ERR_PERMISSION_DENIED: ExitCode.unreachable,
  ERR_OVERLOADED: ExitCode.unreachable,
  ERR_TLS: ExitCode.unreachable,
  ERR_STORE: ExitCode.unreachable,
  ERR_CONFIG: ExitCode.usage,
  ERR_NO_SOURCE: ExitCode.notFound,
  ERR_RANK_NOT_FOUND: ExitCode.notFound,
  ERR_SOURCE_GONE: ExitCode.notFound,
  ERR_NOT_FOUND: ExitCode.notFound,
  ERR_TENSOR_MISSING: ExitCode.integrity,
  ERR_TENSOR_SIZE: ExitCode.integrity,
  ERR_TENSOR_DTYPE: ExitCode.integrity,
  ERR_TENSOR_SHAPE: ExitCode.integrity,
  ERR_MODEL_INVALID: ExitCode.integrity,
  ERR_CHECKSUM_MISMATCH: ExitCode.integrity,
  ERR_VERBS: ExitCode.transferFailed,
  ERR_HANDSHAKE: ExitCode.transferFailed,
  ERR_PROTOCOL: ExitCode.transferFailed,
  ERR_PEER_LOST: ExitCode.transferFailed,
  ERR_REMOTE_ACCESS: ExitCode.transferFailed,
  ERR_STALLED: ExitCode.transferFailed,
  ERR_ALREADY_EXISTS: ExitCode.transferFailed,
  ERR_IO: ExitCode.transferFailed,
  ERR_ABORTED: ExitCode.interrupted,
  ERR_CLOSED: ExitCode.internal,
  ERR_INTERNAL: ExitCode.internal,
};

/** Every error code, in the order of the table. */
export const errorCodes = Object.keys(byErrorCode) as readonly ErrorCode[];

/** The exit code that belongs to an error code. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  return byErrorCode[code];
}

/** The signals that ask the command to end. */
export type EndSignal = 'SIGINT' | 'SIGTERM';

/** 128 + the signal's number, as shells report it. */
export function exitCodeOfSignal(signal: EndSignal): ExitCode {
  return signal === 'SIGINT' ? ExitCode.interrupted : ExitCode.terminated;
}

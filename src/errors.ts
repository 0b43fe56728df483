/**
 * Every error that Weightcast throws or rejects with is a {@link WeightcastError}: match on `code`, not on the class or
 * the text. `docs/errors.md` has the table.
 */
import { status as GrpcStatus } from '@grpc/grpc-js';
import type { NativeCode, NativeFault } from './native-fault.js';

/** The closed set of codes. */
export type ErrorCode =
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_NATIVE_UNAVAILABLE'
  | 'ERR_RDMA_UNAVAILABLE'
  | 'ERR_TRANSPORT_UNAVAILABLE'
  | 'ERR_DEVICE_NOT_FOUND'
  | 'ERR_ACCELERATOR_UNAVAILABLE'
  | 'ERR_ACCELERATOR'
  | 'ERR_MEMLOCK_LIMIT'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_REGISTRATION'
  | 'ERR_VERBS'
  | 'ERR_SERVER_UNREACHABLE'
  | 'ERR_SERVER'
  | 'ERR_PUBLISH_REFUSED'
  | 'ERR_UNAUTHENTICATED'
  | 'ERR_PERMISSION_DENIED'
  | 'ERR_OVERLOADED'
  | 'ERR_TLS'
  | 'ERR_CONFIG'
  | 'ERR_STORE'
  | 'ERR_NO_SOURCE'
  | 'ERR_RANK_NOT_FOUND'
  | 'ERR_SOURCE_GONE'
  | 'ERR_TENSOR_MISSING'
  | 'ERR_TENSOR_SIZE'
  | 'ERR_TENSOR_DTYPE'
  | 'ERR_TENSOR_SHAPE'
  | 'ERR_MODEL_INVALID'
  | 'ERR_HANDSHAKE'
  | 'ERR_PROTOCOL'
  | 'ERR_PEER_LOST'
  | 'ERR_REMOTE_ACCESS'
  | 'ERR_STALLED'
  | 'ERR_CHECKSUM_MISMATCH'
  | 'ERR_DISK_FULL'
  | 'ERR_ALREADY_EXISTS'
  | 'ERR_NOT_FOUND'
  | 'ERR_IO'
  | 'ERR_ABORTED'
  | 'ERR_CLOSED'
  | 'ERR_INTERNAL';

/** A source that a pull looked at and did not get its weights from. */
export interface SourceAttempt {
  readonly sourceId: string;
  readonly workerId: string;
  /** Why not. */
  readonly code: ErrorCode;
  readonly message: string;
  /** Time that it took. */
  readonly ms: number;
  /** False: it offers nothing that could have been read, and does not count against the sources to try. */
  readonly counted: boolean;
}

/** What an error knows beside its sentence. Absent fields are `undefined`. */
export interface ErrorDetails {
  readonly cause?: unknown;
  /** `host:port` of the other side. */
  readonly peer?: string | undefined;
  readonly tensor?: string | undefined;
  readonly file?: string | undefined;
  /** The C or system call that failed, for example `ibv_reg_mr`. */
  readonly syscall?: string | undefined;
  readonly errno?: number | undefined;
  /** `ibv_wc_status` of the completion that failed. */
  readonly wcStatus?: number | undefined;
  /** gRPC status code and the server's own message. */
  readonly grpcStatus?: number | undefined;
  readonly grpcMessage?: string | undefined;
  /** Of a pull that tried several sources: those that failed, in order. */
  readonly attempts?: readonly SourceAttempt[] | undefined;
}

const brand = Symbol.for('weightcast.error');

/** The one error class. Branded, so that `instanceof` holds across two copies of the package. */
export class WeightcastError extends Error {
  readonly code: ErrorCode;
  readonly peer: string | undefined;
  readonly tensor: string | undefined;
  readonly file: string | undefined;
  readonly syscall: string | undefined;
  readonly errno: number | undefined;
  readonly wcStatus: number | undefined;
  readonly grpcStatus: number | undefined;
  readonly grpcMessage: string | undefined;
  readonly attempts: readonly SourceAttempt[] | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'WeightcastError';
    this.code = code;
    this.peer = details.peer;
    this.tensor = details.tensor;
    this.file = details.file;
    this.syscall = details.syscall;
    this.errno = details.errno;
    this.wcStatus = details.wcStatus;
    this.grpcStatus = details.grpcStatus;
    this.grpcMessage = details.grpcMessage;
    this.attempts = details.attempts;
    Object.defineProperty(this, brand, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}

const nativeCodes: Record<NativeCode, ErrorCode> = {
  INVALID_ARGUMENT: 'ERR_INVALID_ARGUMENT',
  RDMA_UNAVAILABLE: 'ERR_RDMA_UNAVAILABLE',
  NOT_FOUND: 'ERR_NOT_FOUND',
  ALREADY_EXISTS: 'ERR_ALREADY_EXISTS',
  MEMLOCK_LIMIT: 'ERR_MEMLOCK_LIMIT',
  OUT_OF_MEMORY: 'ERR_OUT_OF_MEMORY',
  REGISTRATION: 'ERR_REGISTRATION',
  VERBS: 'ERR_VERBS',
  OUT_OF_RANGE: 'ERR_PROTOCOL',
  PEER_LOST: 'ERR_PEER_LOST',
  REMOTE_ACCESS: 'ERR_REMOTE_ACCESS',
  PROTOCOL: 'ERR_PROTOCOL',
  STALLED: 'ERR_STALLED',
  CANCELLED: 'ERR_ABORTED',
  CLOSED: 'ERR_CLOSED',
  IO: 'ERR_IO',
  DEVICE_UNAVAILABLE: 'ERR_ACCELERATOR_UNAVAILABLE',
  DEVICE: 'ERR_ACCELERATOR',
  INTERNAL: 'ERR_INTERNAL',
};

const systemCodes: Record<string, ErrorCode> = {
  ENOSPC: 'ERR_DISK_FULL',
  EDQUOT: 'ERR_DISK_FULL',
  ENOMEM: 'ERR_OUT_OF_MEMORY',
  ENOENT: 'ERR_NOT_FOUND',
  EEXIST: 'ERR_ALREADY_EXISTS',
  ENOTEMPTY: 'ERR_ALREADY_EXISTS',
  ECONNREFUSED: 'ERR_PEER_LOST',
  ECONNRESET: 'ERR_PEER_LOST',
  EPIPE: 'ERR_PEER_LOST',
  ETIMEDOUT: 'ERR_PEER_LOST',
  EHOSTUNREACH: 'ERR_PEER_LOST',
};

/** Any other status is ERR_SERVER. */
const grpcCodes: Record<string, ErrorCode> = {
  UNAVAILABLE: 'ERR_SERVER_UNREACHABLE',
  DEADLINE_EXCEEDED: 'ERR_SERVER_UNREACHABLE',
  CANCELLED: 'ERR_ABORTED',
  UNAUTHENTICATED: 'ERR_UNAUTHENTICATED',
  PERMISSION_DENIED: 'ERR_PERMISSION_DENIED',
};

/** gRPC has one status for what is too large and for what is too much; only the latter is worth another try. */
function grpcCodeOf(name: string, details: string): ErrorCode {
  if (name === 'RESOURCE_EXHAUSTED') return /message.*larger than/i.test(details) ? 'ERR_SERVER' : 'ERR_OVERLOADED';
  return grpcCodes[name] ?? 'ERR_SERVER';
}

function isNativeFault(value: unknown): value is NativeFault {
  return value instanceof Error && 'nativeCode' in value;
}

function isGrpcError(value: unknown): value is Error & { code: number; details: string } {
  return value instanceof Error && 'details' in value && 'metadata' in value && typeof (value as { code?: unknown }).code === 'number';
}

/** Context that the caller of {@link toWeightcastError} adds: what was being done, and to whom. */
export interface ErrorContext {
  /** Begins the message: "cannot register file model.safetensors". */
  readonly doing?: string;
  readonly peer?: string;
  readonly tensor?: string;
  readonly file?: string;
}

/**
 * The only place where foreign errors become ours: native faults, gRPC statuses, system errors and aborts. Errors that
 * are ours already pass unchanged.
 */
export function toWeightcastError(error: unknown, context: ErrorContext = {}): WeightcastError {
  if (error instanceof WeightcastError) return error;
  const prefix = context.doing === undefined ? '' : `${context.doing}: `;
  const { doing: _doing, ...where } = context;
  if (isNativeFault(error)) {
    return new WeightcastError(nativeCodes[error.nativeCode], prefix + error.message, {
      cause: error,
      ...where,
      syscall: error.call || undefined,
      errno: error.errno || undefined,
      wcStatus: error.wcStatus || undefined,
    });
  }
  if (isGrpcError(error)) {
    const name = GrpcStatus[error.code] ?? String(error.code);
    const at = context.peer === undefined ? '' : ` at ${context.peer}`;
    return new WeightcastError(grpcCodeOf(name, error.details), `${prefix}gRPC ${name}${at}: ${error.details}`, {
      cause: error,
      ...where,
      grpcStatus: error.code,
      grpcMessage: error.details,
    });
  }
  if (error instanceof Error) {
    if (error.name === 'AbortError') return new WeightcastError('ERR_ABORTED', `${prefix}aborted`, { cause: error, ...where });
    const system = error as NodeJS.ErrnoException;
    if (typeof system.code === 'string' && system.syscall !== undefined) {
      return new WeightcastError(systemCodes[system.code] ?? 'ERR_IO', prefix + error.message, {
        cause: error,
        ...where,
        syscall: system.syscall,
        errno: system.errno,
      });
    }
    return new WeightcastError('ERR_INTERNAL', prefix + error.message, { cause: error, ...where });
  }
  return new WeightcastError('ERR_INTERNAL', prefix + String(error), { cause: error, ...where });
}

/** Throws the signal's reason as ours when it has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, doing: string): void {
  if (signal?.aborted === true) throw new WeightcastError('ERR_ABORTED', `${doing}: aborted`, { cause: signal.reason });
}

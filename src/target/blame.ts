/** Whose failure an error is: a source's, so that another one may do better, or our own, which every source would meet. */
import type { ErrorCode, WeightcastError } from '../errors.js';

type Blame = 'source' | 'self';

/**
 * For errors that arise after a source was chosen. The metadata server has answered by then: what it refuses to everybody
 * (ERR_UNAUTHENTICATED, ERR_TLS, …) ended the pull before, so that these codes mean the source's own endpoint here.
 */
const blame: Readonly<Record<ErrorCode, Blame>> = {
  ERR_SOURCE_GONE: 'source',
  ERR_HANDSHAKE: 'source',
  ERR_PROTOCOL: 'source',
  ERR_PEER_LOST: 'source',
  ERR_REMOTE_ACCESS: 'source',
  ERR_STALLED: 'source',
  ERR_CHECKSUM_MISMATCH: 'source',
  ERR_TENSOR_MISSING: 'source',
  ERR_TENSOR_SIZE: 'source',
  ERR_TENSOR_DTYPE: 'source',
  ERR_TENSOR_SHAPE: 'source',
  // A header of the source's weight files that is none.
  ERR_MODEL_INVALID: 'source',
  ERR_TRANSPORT_UNAVAILABLE: 'source',
  // An accelerator that turned out not to be compatible.
  ERR_NO_SOURCE: 'source',
  ERR_SERVER: 'source',
  ERR_OVERLOADED: 'source',
  ERR_TLS: 'source',
  ERR_UNAUTHENTICATED: 'source',
  ERR_PERMISSION_DENIED: 'source',
  // Queue pairs are made by both sides, and the kernel does not say whose fault it was.
  ERR_VERBS: 'source',

  ERR_ABORTED: 'self',
  ERR_INVALID_ARGUMENT: 'self',
  ERR_NATIVE_UNAVAILABLE: 'self',
  ERR_RDMA_UNAVAILABLE: 'self',
  ERR_DEVICE_NOT_FOUND: 'self',
  ERR_MEMLOCK_LIMIT: 'self',
  ERR_OUT_OF_MEMORY: 'self',
  ERR_REGISTRATION: 'self',
  ERR_ACCELERATOR_UNAVAILABLE: 'self',
  ERR_ACCELERATOR: 'self',
  ERR_DISK_FULL: 'self',
  ERR_ALREADY_EXISTS: 'self',
  ERR_NOT_FOUND: 'self',
  ERR_IO: 'self',
  // A source's endpoint that cannot be reached is ERR_SOURCE_GONE: this is the metadata server.
  ERR_SERVER_UNREACHABLE: 'self',
  ERR_RANK_NOT_FOUND: 'self',
  ERR_PUBLISH_REFUSED: 'self',
  ERR_CONFIG: 'self',
  ERR_STORE: 'self',
  ERR_CLOSED: 'self',
  ERR_INTERNAL: 'self',
};

/** Whether the next source should be tried after this error. */
export function concernsSource(error: WeightcastError): boolean {
  return blame[error.code] === 'source';
}

/** Whether a source is still what it was when its addresses and keys were asked for: a process that was started again is not. */
import { WeightcastError, toWeightcastError, type ErrorCode } from '../errors.js';
import type { SegmentBuffer, SegmentDescriptor } from '../handshake/index.js';
import { tcpPort } from './decide.js';
import type { Source } from './discovery/discovery.js';

/** How long a source that failed may take to say whether it has changed. Milliseconds. */
const patienceMs = 3000;

/** What reads of memory that is not there any more, or by keys of an earlier process, fail with. */
const ofChange: ReadonlySet<ErrorCode> = new Set(['ERR_REMOTE_ACCESS', 'ERR_PROTOCOL', 'ERR_HANDSHAKE', 'ERR_PEER_LOST']);

/** A failure that comes from a source having changed: what it says now may do. Never leaves the target's code. */
export class SourceChanged extends Error {
  constructor(readonly failure: WeightcastError) {
    super(failure.message);
  }
}

/** What was read by. */
export interface ReadBy {
  readonly source: Source;
  /** `undefined`: it could not be had. */
  readonly descriptor: SegmentDescriptor | undefined;
  readonly fetch: (signal: AbortSignal | undefined) => Promise<SegmentDescriptor>;
}

/**
 * After a read that nothing else vouches for.
 * @param reconnects how often the peer ended a connection that it should have kept: what answered over the next one may be another
 * process, with the same addresses and other bytes.
 * @throws SourceChanged when the source is not what it was; what asking failed with otherwise.
 */
export async function confirm(readBy: ReadBy, reconnects: number, signal: AbortSignal | undefined): Promise<void> {
  const { peer } = readBy.source;
  if (reconnects > 0) {
    throw new SourceChanged(gone(peer, `${peer} changed while it was read: it ended ${String(reconnects)} connection(s) in between`));
  }
  let changed: boolean;
  try {
    changed = await hasChanged(readBy, signal);
  } catch (error) {
    const { code, message } = toWeightcastError(error);
    if (code === 'ERR_ABORTED') throw error;
    throw gone(
      peer,
      `nothing vouches for what was read from ${peer}, which cannot be asked any more whether it is what it was: ${message}`,
      error,
    );
  }
  if (changed) throw new SourceChanged(gone(peer, `${peer} changed while it was read: its memory is not where it was`));
}

/** @returns the failure as a {@link SourceChanged} when the source has changed, itself otherwise. Never rejects. */
export async function explained(failure: unknown, readBy: ReadBy, signal: AbortSignal | undefined): Promise<unknown> {
  if (!(failure instanceof WeightcastError) || !ofChange.has(failure.code)) return failure;
  const inTime = AbortSignal.timeout(patienceMs);
  const changed = await hasChanged(readBy, signal === undefined ? inTime : AbortSignal.any([signal, inTime])).catch(() => false);
  return changed ? new SourceChanged(failure) : failure;
}

async function hasChanged({ source, descriptor, fetch }: ReadBy, signal: AbortSignal | undefined): Promise<boolean> {
  if (!(await source.unchanged(signal))) return true;
  return descriptor !== undefined && !stillOffers(await fetch(signal), descriptor);
}

/** Whether all that a peer offered is there as it was; it may offer more by now. */
export function stillOffers(now: SegmentDescriptor, before: SegmentDescriptor): boolean {
  if (now.protocol !== before.protocol || tcpPort(now) !== tcpPort(before)) return false;
  // Drawn anew by each process: the surest sign that it was started again, at addresses and a port that may be the same.
  const socket = before.weightcast?.local;
  if (socket !== undefined && socket.name !== now.weightcast?.local?.name) return false;
  const offered = new Set(now.buffers.map(keyOf));
  return before.buffers.every((buffer) => offered.has(keyOf(buffer)));
}

function keyOf({ address, length, remoteKeys }: SegmentBuffer): string {
  return [address, length, ...remoteKeys].join();
}

function gone(peer: string, what: string, cause?: unknown): WeightcastError {
  return new WeightcastError('ERR_SOURCE_GONE', what, { peer, ...(cause !== undefined && { cause }) });
}

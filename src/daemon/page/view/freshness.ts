/** What a worker's status and silence mean to people. */
import { SourceStatus } from '../../../gen/model_express/p2p.js';

export interface Freshness {
  /** "READY", or a number that is no status which we know. */
  readonly status: string;
  /**
   * How it stands. `late`: half of the time-out has passed; `silent`: it says READY or INITIALIZING, and has not been heard
   * of for longer than the time-out, so that targets are not told of it.
   */
  readonly health: 'fresh' | 'late' | 'silent' | 'stale' | 'unknown';
}

const names: Readonly<Record<number, string>> = {
  [SourceStatus.SOURCE_STATUS_UNKNOWN]: 'UNKNOWN',
  [SourceStatus.SOURCE_STATUS_INITIALIZING]: 'INITIALIZING',
  [SourceStatus.SOURCE_STATUS_READY]: 'READY',
  [SourceStatus.SOURCE_STATUS_STALE]: 'STALE',
};

/** @param ageMs since the last heartbeat, by the server's clock. */
export function freshness(status: SourceStatus, ageMs: number, heartbeatTimeoutMs: number): Freshness {
  return { status: names[status] ?? `status ${String(status)}`, health: healthOf(status, ageMs, heartbeatTimeoutMs) };
}

function healthOf(status: SourceStatus, ageMs: number, timeoutMs: number): Freshness['health'] {
  if (status === SourceStatus.SOURCE_STATUS_STALE) return 'stale';
  if (status !== SourceStatus.SOURCE_STATUS_READY && status !== SourceStatus.SOURCE_STATUS_INITIALIZING) return 'unknown';
  if (ageMs > timeoutMs) return 'silent';
  return ageMs > timeoutMs / 2 ? 'late' : 'fresh';
}

/** Transfers as people look at them. */
import { TransferState } from '../../../gen/weightcast/transfers.js';
import type { Transfer } from '../../../metadata/transfers/transfer.js';

export interface TransferView {
  readonly transfer: Transfer;
  readonly state: 'running' | 'lost' | 'done' | 'failed';
  readonly bytes: number;
  readonly totalBytes: number;
  /** 0 to 1; `undefined` while the total is not known. */
  readonly fraction: number | undefined;
  /** Of the time on the wire; `undefined` before the first bytes. */
  readonly bytesPerSecond: number | undefined;
  readonly elapsedMs: number;
}

export function transferView(transfer: Transfer): TransferView {
  const bytes = Number(transfer.bytes);
  const totalBytes = Number(transfer.totalBytes);
  const wireMs = Number(transfer.wireMs);
  return {
    transfer,
    state: stateOf(transfer),
    bytes,
    totalBytes,
    fraction: totalBytes > 0 ? Math.min(1, bytes / totalBytes) : undefined,
    bytesPerSecond: bytes > 0 && wireMs > 0 ? (bytes / wireMs) * 1000 : undefined,
    elapsedMs: Number(transfer.elapsedMs),
  };
}

function stateOf({ state, lost }: Transfer): TransferView['state'] {
  if (state === TransferState.TRANSFER_STATE_DONE) return 'done';
  if (state === TransferState.TRANSFER_STATE_FAILED) return 'failed';
  return lost ? 'lost' : 'running';
}

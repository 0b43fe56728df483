/** Reports as targets send them. */
import { ReportTransferRequest, TransferState } from '#src/gen/weightcast/transfers.js';

export const { TRANSFER_STATE_RUNNING: RUNNING, TRANSFER_STATE_DONE: DONE, TRANSFER_STATE_FAILED: FAILED } = TransferState;

/** A transfer id of this number. */
export const id = (number: number): string => number.toString(16).padStart(16, '0');

export function report(fields: Partial<ReportTransferRequest> = {}): ReportTransferRequest {
  return { ...ReportTransferRequest.create(), transferId: id(1), state: RUNNING, phase: 'wire', ...fields };
}

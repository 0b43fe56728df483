/** `weightcast.v1.TransferService`: where targets tell of their transfers. */
import { type handleUnaryCall, status } from '@grpc/grpc-js';
import {
  type ReportTransferRequest,
  type ReportTransferResponse,
  TransferServiceService,
  TransferState,
} from '../../gen/weightcast/transfers.js';
import { type AddService, service } from '../../rpc/endpoint.js';
import { longestText, textFields } from './transfer.js';
import type { TransferLog } from './transfer-log.js';

/** Reports go into `log`; what is no report is refused with INVALID_ARGUMENT and a sentence that names the field. */
export function transferService(log: TransferLog): AddService {
  const reportTransfer: handleUnaryCall<ReportTransferRequest, ReportTransferResponse> = (call, callback) => {
    const fault = faultOf(call.request);
    if (fault !== undefined) {
      callback({ code: status.INVALID_ARGUMENT, details: `ReportTransfer: ${fault}` });
      return;
    }
    log.report(call.request);
    callback(null, {});
  };
  return service(TransferServiceService, { reportTransfer });
}

/** What is wrong with a report; `undefined`: nothing. */
export function faultOf(report: ReportTransferRequest): string | undefined {
  if (!/^[0-9a-f]{16}$/.test(report.transferId)) {
    return `expected 16 lower-case hex digits for transfer_id but received ${quote(report.transferId)}`;
  }
  const { TRANSFER_STATE_RUNNING, TRANSFER_STATE_DONE, TRANSFER_STATE_FAILED } = TransferState;
  if (![TRANSFER_STATE_RUNNING, TRANSFER_STATE_DONE, TRANSFER_STATE_FAILED].includes(report.state)) {
    return `expected RUNNING, DONE or FAILED for state but received ${String(report.state)}`;
  }
  for (const name of textFields) {
    const { length } = report[name];
    if (length > longestText[name]) {
      return `${protoName(name)} is ${String(length)} characters long, at most ${String(longestText[name])} are taken`;
    }
  }
  return undefined;
}

function protoName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

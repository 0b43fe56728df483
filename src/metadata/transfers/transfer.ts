/** One pull, as a target tells of it and as people see it. */
import type { ReportTransferRequest } from '../../gen/weightcast/transfers.js';

/** The last report of a transfer, and when it came. */
export interface Transfer extends ReportTransferRequest {
  /** Unix milliseconds, the server's clock. */
  readonly startedAt: number;
  readonly updatedAt: number;
}

/** One pull, as a target tells of it and as people see it. */
import type { ReportTransferRequest } from '../../gen/weightcast/transfers.js';

/** The last report of a transfer, and when it came. */
export interface Transfer extends ReportTransferRequest {
  /** When it was first heard of. Unix milliseconds, the server's clock, as all times here. */
  readonly startedAt: number;
  readonly updatedAt: number;
  /** It says that it runs, and has not been heard of for long: its process or its network is gone. */
  readonly lost: boolean;
}

/** The longest strings of a report, in UTF-16 code units. Servers refuse longer ones, reporters cut theirs. */
export const longestText = {
  mxSourceId: 128,
  workerId: 256,
  modelName: 512,
  target: 256,
  transport: 16,
  phase: 16,
  error: 2000,
} as const satisfies Partial<Record<keyof ReportTransferRequest, number>>;

/** Fields of a report that are bounded text. */
export type TextField = keyof typeof longestText;

export const textFields = Object.keys(longestText) as readonly TextField[];

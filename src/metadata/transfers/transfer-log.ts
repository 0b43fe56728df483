/** The last transfers that targets told of, in memory: for people to look at, so that nothing depends on it. */
import { type ReportTransferRequest, TransferState } from '../../gen/weightcast/transfers.js';
import type { Transfer } from './transfer.js';

export interface TransferLogOptions {
  /** Unix milliseconds; default `Date.now`. */
  readonly clock?: () => number;
  /** How many are kept; default 200. */
  readonly capacity?: number;
  /** A running transfer not heard of for longer is shown as lost. Milliseconds, default 30 000. */
  readonly lostAfterMs?: number;
}

/** Reports of one transfer that come faster than this say nothing new to people. Milliseconds. */
const minimumGapMs = 200;

type Entry = Omit<Transfer, 'lost'>;

export class TransferLog {
  readonly #clock: () => number;
  readonly #capacity: number;
  readonly #lostAfterMs: number;
  /** By transfer id, in the order of first reports. */
  readonly #entries = new Map<string, Entry>();

  constructor({ clock = Date.now, capacity = 200, lostAfterMs = 30_000 }: TransferLogOptions = {}) {
    this.#clock = clock;
    this.#capacity = capacity;
    this.#lostAfterMs = lostAfterMs;
  }

  /**
   * Takes over a report, which must have been validated. What would undo an end (a late report of a transfer that is
   * over) or comes too fast is left out.
   */
  report(report: ReportTransferRequest): void {
    const now = this.#clock();
    const known = this.#entries.get(report.transferId);
    if (known !== undefined && (hasEnded(known) || isTooFast(known, report, now))) return;
    if (known === undefined && this.#entries.size >= this.#capacity) this.#forgetOne(now);
    this.#entries.set(report.transferId, { ...report, startedAt: known?.startedAt ?? now, updatedAt: now });
  }

  /** Those that run first, then the others; the newest first. */
  list(): Transfer[] {
    const now = this.#clock();
    const newestFirst = [...this.#entries.values()].reverse().map((entry) => ({ ...entry, lost: this.#isLost(entry, now) }));
    const runs = (transfer: Transfer): boolean => !hasEnded(transfer) && !transfer.lost;
    return [...newestFirst.filter(runs), ...newestFirst.filter((transfer) => !runs(transfer))];
  }

  #isLost(entry: Entry, now: number): boolean {
    return !hasEnded(entry) && now - entry.updatedAt > this.#lostAfterMs;
  }

  /** The oldest that is over or lost; the oldest of all when every one runs. */
  #forgetOne(now: number): void {
    let victim: string | undefined;
    for (const [id, entry] of this.#entries) {
      victim ??= id;
      if (!hasEnded(entry) && !this.#isLost(entry, now)) continue;
      victim = id;
      break;
    }
    if (victim !== undefined) this.#entries.delete(victim);
  }
}

function hasEnded({ state }: ReportTransferRequest): boolean {
  return state === TransferState.TRANSFER_STATE_DONE || state === TransferState.TRANSFER_STATE_FAILED;
}

function isTooFast(known: Entry, report: ReportTransferRequest, now: number): boolean {
  const sameStep = known.state === report.state && known.phase === report.phase;
  return sameStep && now >= known.updatedAt && now - known.updatedAt < minimumGapMs;
}

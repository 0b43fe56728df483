/** Tells a metadata server of one pull while it runs. Nothing that happens here ever delays or fails the pull. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { status } from '@grpc/grpc-js';
import { WeightcastError } from '../../errors.js';
import { ReportTransferRequest, TransferState } from '../../gen/weightcast/transfers.js';
import type { Logger } from '../../observe/logger.js';
import { longestText, type TextField } from './transfer.js';

/** What takes the reports; a `MetadataClient` does. */
export interface TransferSink {
  reportTransfer(report: ReportTransferRequest, signal?: AbortSignal): Promise<void>;
}

export interface TransferReporterOptions {
  readonly client: TransferSink;
  readonly modelName: string;
  readonly rank: number;
  readonly logger: Logger;
  /** Name of this host; default: what the system says. */
  readonly target?: string;
}

/** At most one report in this time, but for the first and the last. Milliseconds. */
const intervalMs = 1000;
/** A pull that does not move is told of this often, lest it be taken for lost. */
const keepAliveMs = 10_000;
/** A server that failed is left alone for this long. */
const retryAfterMs = 10_000;
/** How long a report may take. */
const timeoutMs = 5000;
/** How long the end of a pull waits for its last report. */
const lastReportMs = 1000;

/** The server learns of the pull with the first `progress`. `end` must be called, and frees what the reporter holds. */
export class TransferReporter {
  readonly #client: TransferSink;
  readonly #logger: Logger;
  readonly #report: ReportTransferRequest;
  readonly #started = performance.now();
  #wireStarted: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #inFlight: AbortController | undefined;
  #changed = false;
  #nextAt = 0;
  #sentAt = 0;
  #silent = false;

  constructor({ client, modelName, rank, logger, target = hostname() }: TransferReporterOptions) {
    this.#client = client;
    this.#logger = logger;
    this.#report = {
      ...ReportTransferRequest.create(),
      transferId: randomBytes(8).toString('hex'),
      modelName: cut('modelName', modelName),
      workerRank: rank,
      target: cut('target', target),
      state: TransferState.TRANSFER_STATE_RUNNING,
    };
  }

  /** Whom the bytes come from, as soon as it is known; again when another source is tried. */
  source(sourceId: string, workerId: string): void {
    this.#report.mxSourceId = cut('mxSourceId', sourceId);
    this.#report.workerId = cut('workerId', workerId);
    this.#changed = true;
  }

  /**
   * Where the pull is.
   *
   * @param transport "rdma", "tcp" or "local"; `undefined` or empty until chosen.
   * @param bytes of the phase, done so far; those of "wire" are what has arrived.
   * @param totalBytes of the phase; 0 when not known.
   */
  progress(phase: string, transport: string | undefined, bytes: bigint, totalBytes: bigint): void {
    if (this.#silent) return;
    const report = this.#report;
    if (phase === 'wire') {
      if (report.phase !== 'wire') this.#wireStarted = performance.now() - Number(report.wireMs);
      report.bytes = bytes;
      report.totalBytes = totalBytes;
    }
    this.#clockWire();
    if (phase !== 'wire') this.#wireStarted = undefined;
    report.phase = cut('phase', phase);
    report.transport = cut('transport', transport ?? '');
    this.#changed = true;
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.#tick(), intervalMs);
      this.#timer.unref();
      this.#tick();
    }
  }

  /** The pull is over; `error` is what it failed with. Resolves after at most about a second, and never rejects. */
  async end(error?: unknown): Promise<void> {
    if (this.#silent) return;
    clearInterval(this.#timer);
    this.#inFlight?.abort();
    this.#clockWire();
    this.#report.state = error === undefined ? TransferState.TRANSFER_STATE_DONE : TransferState.TRANSFER_STATE_FAILED;
    this.#report.error = error === undefined ? '' : cut('error', describe(error));
    await this.#send(lastReportMs);
    this.#silent = true;
  }

  /** Also ends the time on the wire when the phase is over. */
  #clockWire(): void {
    if (this.#wireStarted !== undefined) this.#report.wireMs = milliseconds(performance.now() - this.#wireStarted);
  }

  #tick(): void {
    const now = performance.now();
    if (this.#inFlight !== undefined || now < this.#nextAt) return;
    if (!this.#changed && now - this.#sentAt < keepAliveMs) return;
    this.#clockWire();
    void this.#send(timeoutMs);
  }

  async #send(withinMs: number): Promise<void> {
    const control = new AbortController();
    this.#inFlight = control;
    this.#changed = false;
    this.#sentAt = performance.now();
    const timer = setTimeout(() => control.abort(), withinMs);
    const aborted = new Promise<void>((resolve) => control.signal.addEventListener('abort', () => resolve(), { once: true }));
    const report = { ...this.#report, elapsedMs: milliseconds(performance.now() - this.#started) };
    const sent = Promise.resolve().then(() => this.#client.reportTransfer(report, control.signal));
    // Not even a client that ignores its signal holds the pull up.
    await Promise.race([sent.catch((error: unknown) => this.#failed(error, control)), aborted]);
    clearTimeout(timer);
    if (this.#inFlight === control) this.#inFlight = undefined;
  }

  #failed(error: unknown, { signal }: AbortController): void {
    if (error instanceof WeightcastError && error.grpcStatus === status.UNIMPLEMENTED) {
      this.#silent = true;
      clearInterval(this.#timer);
      return;
    }
    this.#nextAt = performance.now() + retryAfterMs;
    this.#logger.debug('a transfer could not be reported', { error, late: signal.aborted });
  }
}

function milliseconds(value: number): bigint {
  return BigInt(Math.round(value));
}

function describe(error: unknown): string {
  if (error instanceof WeightcastError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

function cut(field: TextField, text: string): string {
  const longest = longestText[field];
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

/**
 * Progress for people, on stderr: one bar that is redrawn on a terminal, plain lines every few seconds elsewhere.
 * Decimal units; GB/s and ETA come from the last seconds, not from the average.
 */
import pc from 'picocolors';
import { formatBytes, formatEta, formatRate } from './progress-format.js';
import { RateMeter } from './progress-rate.js';

/** What a display needs of a stream. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  /** Width of the terminal; 80 when unknown. */
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Begins every line: `pull`. */
  readonly label: string;
  readonly stream: ProgressStream;
  /** Colour of the bar; default false. A bar without colour is still a bar. */
  readonly color?: boolean;
  /** Milliseconds of a clock that does not go back. */
  readonly now?: () => number;
  /** Least time between two redraws of a bar; default 100 ms. */
  readonly redrawMs?: number;
  /** Time between two plain lines; default 3 s. */
  readonly lineMs?: number;
}

/** Shows how far something is. */
export interface Progress {
  /** A phase, and where it counts bytes, how many of how many are done. */
  update(phase: string, bytes?: bigint, totalBytes?: bigint): void;
  /** Takes the bar away, so that something else can be written; the next update draws it again. */
  clear(): void;
  /** Takes the bar away for good. */
  finish(): void;
}

/** For `--quiet`. */
export const silentProgress: Progress = { update: () => undefined, clear: () => undefined, finish: () => undefined };

interface State {
  readonly phase: string;
  readonly bytes: bigint;
  readonly totalBytes: bigint;
}

const eraseLine = '\r\u001b[2K';
const narrowest = 10;
const widest = 30;

export class ProgressDisplay implements Progress {
  readonly #options: Required<ProgressOptions>;
  readonly #terminal: boolean;
  #meter = new RateMeter();
  #phase: string | undefined;
  #shownAt: number;
  #drawn = false;
  #finished = false;

  constructor(options: ProgressOptions) {
    this.#options = { color: false, now: () => performance.now(), redrawMs: 100, lineMs: 3000, ...options };
    this.#terminal = options.stream.isTTY === true;
    this.#shownAt = this.#options.now();
  }

  update(phase: string, bytes = 0n, totalBytes = 0n): void {
    if (this.#finished) return;
    const now = this.#options.now();
    const newPhase = phase !== this.#phase;
    if (newPhase) this.#meter = new RateMeter();
    this.#phase = phase;
    this.#meter.sample(now, bytes);
    const state = { phase, bytes, totalBytes };
    if (this.#terminal) {
      if (!newPhase && this.#drawn && now - this.#shownAt < this.#options.redrawMs) return;
      this.#options.stream.write(eraseLine + this.#bar(state));
      this.#drawn = true;
    } else {
      if (now - this.#shownAt < this.#options.lineMs) return;
      this.#options.stream.write(`${this.#line(state)}\n`);
    }
    this.#shownAt = now;
  }

  clear(): void {
    if (this.#drawn) this.#options.stream.write(eraseLine);
    this.#drawn = false;
  }

  finish(): void {
    this.clear();
    this.#finished = true;
  }

  /** `pull: wire 45 %, 115.20 MB of 256.00 MB, 1.234 GB/s, ETA 0:12` */
  #line(state: State): string {
    const { label } = this.#options;
    if (state.totalBytes === 0n) return `${label}: ${state.phase}`;
    return `${label}: ${state.phase} ${percent(state)}, ${amount(state, ' of ')}, ${this.#speed(state, ', ')}`;
  }

  /** `pull  wire      [#######-------]  45 %  115.20 MB/256.00 MB  1.234 GB/s  ETA 0:12`, cut to the terminal's width. */
  #bar(state: State): string {
    const { label, color, stream } = this.#options;
    const columns = stream.columns ?? 80;
    const head = `${label}  ${state.phase.padEnd(9)}`;
    if (state.totalBytes === 0n) return head.slice(0, columns - 1);
    const tail = `${percent(state).padStart(5)}  ${amount(state, '/')}  ${this.#speed(state, '  ')}`;
    const room = Math.min(widest, columns - 1 - head.length - tail.length - 4);
    if (room < narrowest) return `${head} ${tail}`.slice(0, columns - 1);
    const full = Math.floor(share(state) * room);
    const paint = pc.createColors(color);
    return `${head} [${paint.green('#'.repeat(full))}${paint.dim('-'.repeat(room - full))}] ${tail}`;
  }

  #speed(state: State, separator: string): string {
    const rate = this.#meter.bytesPerSecond;
    const left = Number(state.totalBytes - state.bytes) / rate;
    const eta = Number.isFinite(left) ? `${separator}ETA ${formatEta(left)}` : '';
    return formatRate(rate) + eta;
  }
}

function share(state: State): number {
  return Math.min(1, Number(state.bytes) / Number(state.totalBytes));
}

/** Rounded down: 100 % means all of it. */
function percent(state: State): string {
  return `${String(Math.floor(share(state) * 100))} %`;
}

function amount(state: State, separator: string): string {
  return formatBytes(state.bytes) + separator + formatBytes(state.totalBytes);
}

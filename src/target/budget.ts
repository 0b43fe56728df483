/** How long the bytes of one source may take in all, beside the watchdog that ends a silence. */
import { WeightcastError } from '../errors.js';
import { decimal } from '../metadata/selection/index.js';
import { silentLogger, type Logger } from '../observe/logger.js';

/** Timers take no more; longer than this is no limit that anybody waits for. */
const longestMs = 2 ** 31 - 1;

/**
 * Runs `work` with a signal that fires when `signal` does, or after `timeoutMs`.
 * @param timeoutMs `undefined`: no limit.
 * @throws ERR_STALLED when the time was up; else what `work` throws.
 */
export async function withinBudget<T>(
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
  peer: string,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (timeoutMs === undefined) return work(signal);
  const timeUp = new AbortController();
  const timer = setTimeout(
    () => {
      timeUp.abort();
    },
    Math.min(timeoutMs, longestMs),
  );
  try {
    return await work(signal === undefined ? timeUp.signal : AbortSignal.any([signal, timeUp.signal]));
  } catch (error) {
    if (!timeUp.signal.aborted || signal?.aborted === true) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new WeightcastError(
      'ERR_STALLED',
      `reading from ${peer} took longer than its budget of ${String(timeoutMs)} ms (transferTimeoutMs): ${why}`,
      { cause: error, peer },
    );
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `MX_TRANSFER_TIMEOUT`, in seconds, as milliseconds; `undefined` when it is not set. What is not a finite positive number
 * is logged and left out: 0 does not mean "no limit" to peers either.
 */
export function environmentTransferTimeout(
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger = silentLogger,
): number | undefined {
  const text = env['MX_TRANSFER_TIMEOUT'];
  if (text === undefined) return undefined;
  const seconds = decimal(text);
  if (seconds !== undefined && seconds > 0) return seconds * 1000;
  logger.warn('MX_TRANSFER_TIMEOUT is no positive number of seconds and is ignored', { value: text });
  return undefined;
}

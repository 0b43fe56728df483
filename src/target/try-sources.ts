/** One source after the other, until one of them gives its weights. */
import { WeightcastError, throwIfAborted, toWeightcastError, type SourceAttempt } from '../errors.js';
import { concernsSource } from './blame.js';
import type { Candidate, Unreadable } from './discovery/discovery.js';

/** Of workers that cannot be read, so many are named in a message. */
const unreadableShown = 5;

export interface TrySourcesOptions<Pulled extends object> {
  /** Best first. */
  readonly candidates: readonly Candidate[];
  /** Sources to try; those that are unreadable do not count. */
  readonly maxSources: number;
  /** What people know the weights by. */
  readonly subject: string;
  readonly signal: AbortSignal | undefined;
  /** Leaves nothing behind when it rejects. */
  readonly attempt: (candidate: Candidate) => Promise<Pulled | Unreadable>;
  readonly onFailure: (failed: SourceAttempt) => void;
}

/**
 * The first success, and what failed before it.
 * @throws what failed, unchanged, when it is all that was looked at; our own failures at once; else an error with the code
 * of the last source, every source's reason, and `attempts`.
 */
export async function trySources<Pulled extends object>(
  options: TrySourcesOptions<Pulled>,
): Promise<{ readonly pulled: Pulled; readonly failed: readonly SourceAttempt[] }> {
  const { candidates, maxSources, signal } = options;
  const failed: SourceAttempt[] = [];
  let last: WeightcastError | undefined;
  let tried = 0;
  for (const candidate of candidates) {
    if (tried === maxSources) break;
    throwIfAborted(signal, 'pull');
    const started = performance.now();
    const note = (code: SourceAttempt['code'], message: string, counted: boolean): void => {
      const { sourceId, workerId } = candidate;
      const failure = { sourceId, workerId, code, message, ms: performance.now() - started, counted };
      failed.push(failure);
      options.onFailure(failure);
    };
    try {
      const outcome = await options.attempt(candidate);
      if (!('unreadable' in outcome)) return { pulled: outcome, failed };
      note('ERR_TRANSPORT_UNAVAILABLE', outcome.unreadable, false);
    } catch (error) {
      const ours = toWeightcastError(error, { doing: 'pull' });
      if (!concernsSource(ours)) throw afterOthers(ours, failed);
      note(ours.code, ours.message, true);
      last = ours;
      tried += 1;
    }
  }
  throw allFailed(failed, last, options);
}

/** Our own failure, which would be a riddle without what went before it. */
function afterOthers(error: WeightcastError, failed: readonly SourceAttempt[]): WeightcastError {
  return failed.length === 0 ? error : retold(error, `${error.message}\nbefore that:\n${listed(failed)}`, failed);
}

function allFailed<Pulled extends object>(
  failed: readonly SourceAttempt[],
  last: WeightcastError | undefined,
  { candidates, subject, maxSources }: TrySourcesOptions<Pulled>,
): WeightcastError {
  if (last === undefined) {
    return new WeightcastError('ERR_TRANSPORT_UNAVAILABLE', `no listed source of ${subject} can be read:\n${listed(failed)}`, {
      attempts: failed,
    });
  }
  if (candidates.length === 1) return last;
  const tried = failed.filter((failure) => failure.counted).length;
  const untried = candidates.length - failed.length;
  const more = untried > 0 ? `; ${String(untried)} more not tried, since ${String(maxSources)} are the most (maxSources)` : '';
  return retold(last, `${String(tried)} source(s) of ${subject} failed${more}:\n${listed(failed)}`, failed);
}

/** The same failure, with more said. */
function retold(error: WeightcastError, message: string, attempts: readonly SourceAttempt[]): WeightcastError {
  const { code, peer, tensor, file, syscall, errno, wcStatus, grpcStatus, grpcMessage } = error;
  const details = { peer, tensor, file, syscall, errno, wcStatus, grpcStatus, grpcMessage };
  return new WeightcastError(code, message, { ...details, cause: error, attempts });
}

/** A line a source. Of unreadable ones, of which there can be thousands, only the first few. */
function listed(failed: readonly SourceAttempt[]): string {
  const lineOf = ({ workerId, code, message }: SourceAttempt): string => `worker ${workerId}: ${code}: ${message}`;
  const unreadable = failed.filter((failure) => !failure.counted);
  const lines = [...failed.filter((failure) => failure.counted), ...unreadable.slice(0, unreadableShown)].map(lineOf);
  if (unreadable.length > unreadableShown) lines.push(`${String(unreadable.length - unreadableShown)} more workers cannot be read either`);
  return lines.join('\n');
}

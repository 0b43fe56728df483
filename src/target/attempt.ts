/** One source, start to end: everything that it opened is given back, and nothing is left where it failed. */
import { WeightcastError, toWeightcastError } from '../errors.js';
import { silentLogger } from '../observe/logger.js';
import type { Candidate, Discovery, Unreadable } from './discovery/discovery.js';
import { SourceChanged } from './freshness.js';
import { dressed, type Checkpoint } from './like.js';
import { read, type Pulled, type ReadContext } from './read.js';
import { Scope } from './scope.js';

/** What all attempts of a pull share; opened once, before the first. */
export interface AttemptContext extends ReadContext {
  readonly discovery: Discovery;
  /** Where dtypes and shapes come from that a source does not say. */
  readonly like: Checkpoint | undefined;
}

/**
 * Reads one source into a destination of its own. One that turns out to have changed is asked anew and read again, once: a
 * process that was started again at the same place has other addresses and keys.
 */
export async function attempt(candidate: Candidate, context: AttemptContext): Promise<Pulled | Unreadable> {
  try {
    return await once(candidate, context);
  } catch (error) {
    if (!(error instanceof SourceChanged)) throw error;
    return await anew(candidate, error.failure, context);
  }
}

async function anew(candidate: Candidate, first: WeightcastError, context: AttemptContext): Promise<Pulled | Unreadable> {
  const { discovery, options } = context;
  const { logger = silentLogger } = options;
  if (!discovery.renewable) {
    const hint = 'ask it anew where its tensors are';
    throw new WeightcastError('ERR_SOURCE_GONE', `${first.message}; ${discovery.subject} was started again or moved its memory: ${hint}`, {
      cause: first,
      peer: first.peer,
    });
  }
  logger.warn('the source has changed and is read anew', { peer: first.peer, code: first.code, reason: first.message });
  try {
    const pulled = await once(candidate, context);
    if ('unreadable' in pulled) return pulled;
    return { ...pulled, notes: [`the source changed, and was asked and read anew: ${first.message}`, ...pulled.notes] };
  } catch (error) {
    const second = error instanceof SourceChanged ? error.failure : toWeightcastError(error, { doing: 'pull' });
    const { code, message, peer, tensor, file, syscall, errno, wcStatus, grpcStatus, grpcMessage } = second;
    const details = { peer, tensor, file, syscall, errno, wcStatus, grpcStatus, grpcMessage };
    throw new WeightcastError(code, `${message}\nit was asked anew since it had changed: ${first.message}`, { ...details, cause: second });
  }
}

async function once(candidate: Candidate, context: AttemptContext): Promise<Pulled | Unreadable> {
  const { discovery, like, clock } = context;
  const scope = new Scope();
  clock.startAttempt();
  try {
    const source = await clock.phase('discover', () => discovery.open(candidate, scope));
    if ('unreadable' in source) return source;
    return await read(like === undefined ? source : dressed(source, like), context);
  } finally {
    await scope.close();
  }
}

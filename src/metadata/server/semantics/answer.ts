/** What a call answers, and how that counts. */
import type { CallOutcome } from '../observer.js';

/** Refusals stand in replies whose gRPC status is OK, so that the kind of a reply goes beside it. */
export interface Answer<Reply> {
  readonly reply: Reply;
  readonly outcome: Extract<CallOutcome, 'ok' | 'invalid_argument' | 'not_found'>;
}

export function done<Reply>(reply: Reply): Answer<Reply> {
  return { reply, outcome: 'ok' };
}

export function invalid<Reply>(reply: Reply): Answer<Reply> {
  return { reply, outcome: 'invalid_argument' };
}

export function missing<Reply>(reply: Reply): Answer<Reply> {
  return { reply, outcome: 'not_found' };
}

/** A request whose bytes are no such message: the caller's fault, not the store's. */
export class MalformedRequest extends Error {}

/** @throws MalformedRequest for whatever `read` throws. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new MalformedRequest(`malformed request: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

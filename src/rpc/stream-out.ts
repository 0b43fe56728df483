/** Answering a server-streaming call from an iterable. */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { type ServerWritableStream, type ServiceError, status } from '@grpc/grpc-js';

/**
 * Sends every message, no faster than the peer reads, with other work let in between; then ends the call. Stops at once
 * when the caller has gone. A failure of `messages` ends the call with INTERNAL.
 *
 * @throws never.
 */
export async function streamOut<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  messages: Iterable<Response> | AsyncIterable<Response>,
): Promise<void> {
  const gone = new AbortController();
  call.once('cancelled', () => {
    gone.abort();
  });
  // The caller may go while a message is written; that is no fault of ours.
  call.on('error', () => undefined);
  try {
    for await (const message of messages) {
      if (call.cancelled || gone.signal.aborted) return;
      if (!call.write(message)) await once(call, 'drain', { signal: gone.signal });
      await setImmediate();
    }
    call.end();
  } catch (error) {
    if (!gone.signal.aborted) fail(call, status.INTERNAL, error instanceof Error ? error.message : String(error));
  }
}

/** Ends a streaming call with a status. */
export function fail(call: { emit(event: 'error', error: Partial<ServiceError>): boolean }, code: status, details: string): void {
  call.emit('error', { code, details });
}

/** Receiving no faster than a client may send. */
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { TokenBucket } from '../token-bucket.js';
import { streamOf } from './stream-of.js';

/**
 * Charges every byte of a request when it comes, and lets HTTP/2's flow control hold the sender back while the bucket is
 * empty. For the first interceptor.
 */
export function pace(call: ServerInterceptingCallInterface, bytes: TokenBucket): void {
  const stream = streamOf(call);
  if (stream === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const resume = (): void => {
    timer = undefined;
    stream.resume();
  };
  stream.on('data', (data: Buffer) => {
    bytes.charge(data.length);
    const { waitMs } = bytes;
    // gRPC itself pauses at the end of a message; that is not ours to undo.
    if (waitMs === 0 || timer !== undefined || stream.isPaused()) return;
    stream.pause();
    timer = setTimeout(resume, waitMs);
  });
  stream.once('close', () => clearTimeout(timer));
}

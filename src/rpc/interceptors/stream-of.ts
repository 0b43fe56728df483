/** The one place of this folder that looks behind gRPC's public interface. */
import { Duplex } from 'node:stream';
import type { ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

/**
 * The HTTP/2 stream of a call, for the first interceptor only: it is given the call that gRPC made, which holds it.
 * Undefined where a later gRPC keeps it elsewhere: whoever asks must be able to do without.
 */
export function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined {
  const { stream } = call as { stream?: unknown };
  return stream instanceof Duplex ? (stream as ServerHttp2Stream) : undefined;
}

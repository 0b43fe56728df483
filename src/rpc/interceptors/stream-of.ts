/** The one place of this folder that looks behind gRPC's public interface. Whoever asks must be able to do without. */
import { EventEmitter } from 'node:events';
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import type { Server, ServerInterceptingCallInterface } from '@grpc/grpc-js';

/**
 * The HTTP/2 stream of a call, for the first interceptor only: it is given the call that gRPC made, which holds it.
 * Undefined where a later gRPC keeps it elsewhere.
 */
export function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined {
  const { stream } = call as { stream?: unknown };
  return stream instanceof Duplex ? (stream as ServerHttp2Stream) : undefined;
}

/** What puts the pieces of a message together; returns the messages that are whole, each with its prefix of 5 bytes. */
export type Decode = (data: Buffer) => Buffer[];

/** Gives a call another decoder, made of its own. Nothing happens where a later gRPC keeps it elsewhere. For the first interceptor. */
export function replaceDecoder(call: ServerInterceptingCallInterface, replace: (decode: Decode) => Decode): void {
  const { decoder } = call as { decoder?: { write?: unknown } };
  if (typeof decoder?.write === 'function') decoder.write = replace((decoder.write as Decode).bind(decoder));
}

/** A stream that has just begun. It may have been reset already, and then does not know its session any longer. */
export interface Begun {
  readonly session: Http2Session;
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
}

/** Lets gRPC have a stream by `pass`: at once, later, or not at all. */
export type Gate = (begun: Begun, pass: () => void) => void;

/**
 * Stands between HTTP/2 and gRPC, for all connections that are injected.
 *
 * @returns false where a later gRPC keeps its HTTP/2 server elsewhere: the gate is never asked.
 */
export function guardStreams(server: Server, gate: Gate): boolean {
  const { http2Servers } = server as unknown as { http2Servers?: unknown };
  const all = http2Servers instanceof Map ? [...(http2Servers.keys() as Iterable<unknown>)] : [];
  const guarded = all.filter((http2) => http2 instanceof EventEmitter && http2.listenerCount('stream') > 0) as EventEmitter[];
  for (const http2 of guarded) {
    const handlers = http2.listeners('stream');
    http2.removeAllListeners('stream');
    let session: Http2Session | undefined;
    // A session tells its own listeners first, and then the server's.
    http2.on('session', (one: Http2Session) => one.prependListener('stream', () => (session = one)));
    http2.on('stream', (...begun: [ServerHttp2Stream, IncomingHttpHeaders, ...unknown[]]) => {
      const pass = (): void => {
        for (const handler of handlers) handler.apply(http2, begun);
      };
      const owner = begun[0].session ?? session;
      if (owner === undefined) pass();
      else gate({ session: owner, stream: begun[0], headers: begun[1] }, pass);
    });
  }
  return guarded.length > 0;
}

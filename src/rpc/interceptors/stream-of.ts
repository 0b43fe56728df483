/** The one place of this folder that looks behind gRPC's public interface. Whoever asks must be able to do without. */
import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
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

/** Is given a stream that has just begun, and lets gRPC have it by `pass`: at once, later, or not at all. */
export type Gate = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, pass: () => void) => void;

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
    http2.on('stream', (...begun: [ServerHttp2Stream, IncomingHttpHeaders, ...unknown[]]) => {
      gate(begun[0], begun[1], () => {
        for (const handler of handlers) handler.apply(http2, begun);
      });
    });
  }
  return guarded.length > 0;
}

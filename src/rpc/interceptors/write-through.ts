/**
 * Large replies are written to the HTTP/2 stream as they lie in memory. gRPC would copy each into a message of its own
 * first, which for megabytes is more work than everything else that a call takes, and would keep one copy for every
 * caller that reads slowly.
 */
import { Writable } from 'node:stream';
import { Metadata, type ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { MessageParts } from '../message-parts.js';
import { partsOf } from './outgoing.js';

/** Smaller ones are copied: that is cheaper than several writes. */
const worthwhileBytes = 32 * 1024;

const prefixBytes = 5;

/**
 * Must be the first of all interceptors: it works on the call that gRPC made, which holds the stream. That is not part of
 * gRPC's public interface, so that a call without such a stream is left as it is.
 *
 * @param maxBytes larger messages are left to gRPC, which refuses them.
 */
export function writeThrough(maxBytes: number): ServerInterceptor {
  return (_method, call) => {
    const { stream } = call as { stream?: unknown };
    if (stream instanceof Writable) {
      const sendMessage = call.sendMessage.bind(call);
      call.sendMessage = (message: unknown, callback) => {
        const parts = partsOf(message);
        const direct = parts !== undefined && parts.byteLength >= worthwhileBytes && parts.byteLength <= maxBytes;
        if (!direct || stream.destroyed || stream.writableEnded) {
          sendMessage(message, callback);
          return;
        }
        // Headers are sent once; gRPC ignores it when they were.
        call.sendMetadata(new Metadata());
        write(stream, parts, (error) => {
          if (error) call.sendStatus({ code: status.INTERNAL, details: 'Internal server error' });
          else callback();
        });
      };
    }
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- gRPC takes any call; its type is narrower
    return call as ServerInterceptingCall;
  };
}

function write(stream: Writable, { parts, byteLength }: MessageParts, callback: (error?: Error | null) => void): void {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(byteLength, 1);
  stream.cork();
  stream.write(prefix);
  for (const [index, part] of parts.entries()) stream.write(part, index === parts.length - 1 ? callback : undefined);
  stream.uncork();
}

/** Knowing how large a reply is before gRPC copies it. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { MessageParts } from '../message-parts.js';

/** A reply as it goes on the wire. */
export class Encoded {
  readonly bytes: Buffer | MessageParts;

  constructor(bytes: Buffer | MessageParts) {
    this.bytes = bytes;
  }
}

const measurables = new WeakSet<object>();

/** The same service; its methods also take replies that are {@link Encoded} or {@link MessageParts} already. */
export function measurable(definition: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => {
    const encode = method.responseSerialize.bind(method);
    const responseSerialize = (reply: unknown): Buffer => {
      const bytes = reply instanceof Encoded ? reply.bytes : reply;
      if (bytes instanceof MessageParts) return bytes.toBuffer();
      return reply instanceof Encoded ? (bytes as Buffer) : encode(reply);
    };
    measurables.add(responseSerialize);
    return [name, { ...method, responseSerialize }] as const;
  });
  return Object.fromEntries(methods);
}

/** Undefined for methods of a service that is not {@link measurable}, and for replies that cannot be encoded. */
export function encoded(responseSerialize: (reply: unknown) => Buffer, reply: unknown): Encoded | undefined {
  if (!measurables.has(responseSerialize)) return undefined;
  if (reply instanceof MessageParts) return new Encoded(reply);
  try {
    return new Encoded(responseSerialize(reply));
  } catch {
    // gRPC tries again and answers with the failure.
    return undefined;
  }
}

/** The parts of a reply that has some. */
export function partsOf(reply: unknown): MessageParts | undefined {
  const bytes = reply instanceof Encoded ? reply.bytes : reply;
  return bytes instanceof MessageParts ? bytes : undefined;
}

/**
 * Frames as Mooncake writes and reads them, by themselves: nothing here is taken from src/, so that a mistake there cannot hide
 * behind the same one on the other side.
 */
import { connect, type Socket } from 'node:net';

export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export const messageType = { connection: 0, metadata: 1, notify: 2, probe: 3 } as const;

/** What Mooncake reads by default: type byte and JSON. */
export const readLimit = 1_048_576;

/** As jsoncpp's FastWriter: compact, keys sorted, a line feed at the end. */
export function writeJson(value: Json): string {
  return `${write(value)}\n`;
}

function write(value: Json): string {
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(write).join(',')}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${write(value[key] ?? null)}`).join(',')}}`;
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value);
}

export function frameOf(type: number, value: Json): Buffer {
  const text = Buffer.from(writeJson(value));
  const head = Buffer.alloc(9);
  head.writeBigUInt64LE(BigInt(text.length + 1));
  head.writeUInt8(type, 8);
  return Buffer.concat([head, text]);
}

/**
 * Ends a connection as the death of a process does. One that is saying good-bye already is left to that: libuv refuses to reset it, and
 * Node (20) never closes it then, nor ends.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** The bytes of a connection, in pieces of the sizes asked for. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** `undefined`: the connection ended before there were so many. */
  async take(bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [this.#held];
    let held = this.#held.length;
    while (held < bytes) {
      const next = await this.#chunks.next().catch(() => undefined);
      if (next === undefined || next.done === true) return undefined;
      parts.push(next.value);
      held += next.value.length;
    }
    const all = Buffer.concat(parts);
    this.#held = all.subarray(bytes);
    return all.subarray(0, bytes);
  }
}

export interface Message {
  readonly type: number;
  /** Addresses are below 2^53 where these peers are used, so `JSON.parse` has them right. */
  readonly body: Json;
}

/** `undefined` for whatever Mooncake closes on: an end, a length of 0 or above the limit, text that is no JSON. */
export async function receive(source: ByteSource, limit = readLimit): Promise<Message | undefined> {
  const length = (await source.take(8))?.readBigUInt64LE();
  if (length === undefined || length === 0n || length > BigInt(limit)) return undefined;
  const payload = await source.take(Number(length));
  if (payload === undefined) return undefined;
  try {
    return { type: payload[0] ?? 0, body: JSON.parse(payload.toString('utf8', 1)) as Json };
  } catch {
    return undefined;
  }
}

/** One message, one connection, closed as soon as the reply is there. `undefined`: no reply, or one of another type. */
export async function ask(address: string, type: number, body: Json): Promise<Json | undefined> {
  const at = address.lastIndexOf(':');
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) });
  socket.on('error', () => undefined);
  try {
    socket.write(frameOf(type, body));
    const reply = await receive(new ByteSource(socket));
    return reply?.type === type ? reply.body : undefined;
  } finally {
    socket.destroy();
  }
}

/** Fields of an object, read as jsoncpp reads them: absent and `null` are empty. A wrong type ends a Mooncake process: so here. */
export class Body {
  readonly #object: JsonObject;

  constructor(value: Json) {
    if (value !== null && (typeof value !== 'object' || isList(value))) throw new Error(`expected an object: ${writeJson(value)}`);
    this.#object = value ?? {};
  }

  has(key: string): boolean {
    return key in this.#object;
  }

  text(key: string): string {
    const value = this.#object[key] ?? '';
    if (typeof value !== 'string') throw new Error(`expected a string as ${key}: ${writeJson(value)}`);
    return value;
  }

  uint(key: string): number {
    const value = this.#object[key] ?? 0;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Error(`expected an integer as ${key}`);
    return value;
  }

  list(key: string): readonly Json[] {
    const value = this.#object[key] ?? [];
    if (typeof value !== 'object' || !isList(value)) throw new Error(`expected a list as ${key}: ${writeJson(value)}`);
    return value;
  }

  uints(key: string): number[] {
    return this.list(key).map((value) => new Body({ value }).uint('value'));
  }

  objects(key: string): Body[] {
    return this.list(key).map((value) => new Body(value));
  }

  child(key: string): JsonObject {
    return new Body(this.#object[key] ?? {}).#object;
  }
}

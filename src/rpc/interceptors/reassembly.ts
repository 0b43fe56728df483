/** Putting large requests together while they come. */
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { type Decode, replaceDecoder } from './stream-of.js';

const prefixBytes = 5;

/** Memory is taken for a whole message when this much of it has come: to claim a large one must not be enough. Bytes. */
const earnestBytes = 1024 * 1024;

/**
 * gRPC keeps the pieces and copies them into one message at the end, which for 100 MiB holds everybody up for as long as
 * that takes. Here the first and large message of a call is copied piece by piece; everything else is left to gRPC, which
 * also refuses what is too large, by its prefix. For the first interceptor.
 */
export function assembleAsItComes(call: ServerInterceptingCallInterface, maxBytes: number): void {
  replaceDecoder(call, (decode) => new Assembly(decode, maxBytes).take);
}

class Assembly {
  readonly #decode: Decode;
  readonly #maxBytes: number;
  /** The beginning of a message that may be a large one. */
  #pieces: Buffer[] = [];
  #received = 0;
  /** The large message, of which `received` bytes are there. */
  #whole: Buffer | undefined;
  #done = false;

  constructor(decode: Decode, maxBytes: number) {
    this.#decode = decode;
    this.#maxBytes = maxBytes;
  }

  readonly take: Decode = (data) => {
    if (this.#done) return this.#decode(data);
    if (this.#whole !== undefined) return this.#fill(this.#whole, data);
    this.#pieces.push(data);
    this.#received += data.length;
    const size = this.#size();
    if (size === undefined) return [];
    // Too large, small, or followed by more.
    if (size > this.#maxBytes || size <= earnestBytes || this.#received > prefixBytes + size) return this.#leaveIt();
    if (this.#received < earnestBytes) return [];
    this.#whole = Buffer.allocUnsafeSlow(prefixBytes + size);
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#received = 0;
    for (const piece of pieces) this.#received += piece.copy(this.#whole, this.#received);
    return this.#fill(this.#whole, Buffer.alloc(0));
  };

  /** Undefined while the prefix is not there. */
  #size(): number | undefined {
    if (this.#received < prefixBytes) return undefined;
    const [first = Buffer.alloc(0)] = this.#pieces;
    return (first.length < prefixBytes ? Buffer.concat(this.#pieces) : first).readUInt32BE(1);
  }

  #leaveIt(): Buffer[] {
    this.#done = true;
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces.flatMap((piece) => this.#decode(piece));
  }

  #fill(whole: Buffer, data: Buffer): Buffer[] {
    const taken = data.copy(whole, this.#received);
    this.#received += taken;
    if (this.#received < whole.length) return [];
    this.#whole = undefined;
    this.#done = true;
    const rest = data.subarray(taken);
    return rest.length === 0 ? [whole] : [whole, ...this.#decode(rest)];
  }
}

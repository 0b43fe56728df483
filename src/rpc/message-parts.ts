/** An encoded message that lies in several pieces of memory, so that large ones need not be copied together. */

export class MessageParts {
  readonly parts: readonly Uint8Array[];
  /** Of all parts together. */
  readonly byteLength: number;

  /** @param parts must not change from here on, nor what is in them: they may be on their way for long. */
  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts;
    this.byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
  }

  /** A copy, in one piece. */
  toBuffer(): Buffer {
    return Buffer.concat(this.parts, this.byteLength);
  }
}

/** Walking protobuf messages field by field, for what need not or must not be decoded as a whole. */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A cursor over the fields of one message. Reused instead of allocating an object a field: there may be 100 000s. */
export class FieldReader {
  field = 0;
  wireType: WireType = WireType.Varint;
  /** Offset of the field's tag. */
  start = 0;
  /** Offset behind the tag: of the length of a length-delimited field, else of the value. */
  afterTag = 0;
  /** Offset of the value; of a length-delimited field, behind its length. */
  valueStart = 0;
  /** Offset behind the value. */
  end = 0;
  readonly #bytes: Buffer;
  readonly #reader: BinaryReader;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#reader = new BinaryReader(bytes);
  }

  /** Steps to the next field; false at the end. Throws RangeError or Error on bytes that are no protobuf message. */
  next(): boolean {
    const reader = this.#reader;
    if (reader.pos >= reader.len) return false;
    this.start = reader.pos;
    [this.field, this.wireType] = reader.tag();
    this.afterTag = reader.pos;
    if (this.wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      this.valueStart = reader.pos;
      reader.pos += length;
      if (reader.pos > reader.len) throw new RangeError(`field ${String(this.field)} ends behind the message`);
    } else {
      this.valueStart = reader.pos;
      reader.skip(this.wireType, this.field);
    }
    this.end = reader.pos;
    return true;
  }

  /** The whole field with its tag; a window, not a copy. */
  raw(): Buffer {
    return this.#bytes.subarray(this.start, this.end);
  }

  /** The value's bytes; a window, not a copy. */
  bytes(): Buffer {
    return this.#bytes.subarray(this.valueStart, this.end);
  }

  uint32(): number {
    return new BinaryReader(this.bytes()).uint32();
  }
}

/** Tag and length of a length-delimited field whose value is `length` bytes. */
export function fieldHeader(field: number, length: number): Buffer {
  return Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish());
}

/** A length-delimited field whose value is `parts` one after the other; nothing is copied. */
export function field(number: number, parts: readonly Buffer[]): Buffer[] {
  return [
    fieldHeader(
      number,
      parts.reduce((sum, part) => sum + part.length, 0),
    ),
    ...parts,
  ];
}

/** The value of a sub-message; parts of a repeated one are merged as protobuf demands. `undefined` when absent. */
export function subMessage(message: Buffer, number: number): Buffer | undefined {
  const parts: Buffer[] = [];
  const reader = new FieldReader(message);
  while (reader.next()) {
    if (reader.field === number && reader.wireType === WireType.LengthDelimited) parts.push(reader.bytes());
  }
  return merge(parts);
}

/** Concatenation is how protobuf merges two encodings of one message. */
export function merge(parts: readonly Buffer[]): Buffer | undefined {
  return parts.length <= 1 ? parts[0] : Buffer.concat(parts);
}

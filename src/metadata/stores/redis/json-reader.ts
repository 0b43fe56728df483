/**
 * A pull parser for the JSON of records: a list of 50 000 tensors is read in steps with other work in between, 64-bit integers keep
 * all of their digits, and byte arrays become buffers without an object a byte. Keys may repeat and come in any order.
 */ import { int32Max, int32Min } from './numbers.js';

const integerToken = /-?(?:0|[1-9]\d*)/y;
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const plainString = /^[^\\\u0000-\u001f]*$/;
/** Nesting that is refused, in values that are skipped: as deep as the reference implementation goes. */
const maxDepth = 128;
const uint64Limit = 1n << 64n;

/** Reads `text` from its beginning. Every method skips white space first, and throws SyntaxError on anything but what it reads. */
export class JsonReader {
  readonly #text: string;
  #at = 0;
  /** Whether the next key or element is the first of its object or array. */
  #first = false;

  constructor(text: string) {
    this.#text = text;
  }

  openObject(): void {
    this.#expect('{', 'an object');
    this.#first = true;
  }

  /** The next key, whose value must be read next; `undefined` at the object's end. */
  key(): string | undefined {
    if (!this.#more('}')) return undefined;
    const key = this.string();
    this.#expect(':', '":"');
    return key;
  }

  openArray(): void {
    this.#expect('[', 'an array');
    this.#first = true;
  }

  /** Whether there is another element, which must be read next. */
  element(): boolean {
    return this.#more(']');
  }

  /** Takes a `null` if there is one. */
  isNull(): boolean {
    this.#next();
    if (!this.#text.startsWith('null', this.#at)) return false;
    this.#at += 4;
    return true;
  }

  string(): string {
    this.#expect('"', 'a string');
    const start = this.#at;
    const quick = this.#text.indexOf('"', start);
    const slice = this.#text.slice(start, quick);
    if (quick >= 0 && plainString.test(slice)) {
      this.#at = quick + 1;
      return slice;
    }
    let end = start;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === '\\' ? 2 : 1;
    this.#at = end + 1;
    // Through UTF-8, because an escaped half of a surrogate pair is no text.
    return Buffer.from(JSON.parse(this.#text.slice(start - 1, end + 1)) as string).toString();
  }

  /** A string that does not keep the whole text in memory, as slices of it do. */
  detachedString(): string {
    return Buffer.from(this.string()).toString();
  }

  /** A whole number within `min` and `max`, written without fraction and exponent. */
  integer(min: number, max: number): number {
    const value = Number(this.#token(integerToken));
    if (/[.eE]/.test(this.#text.charAt(this.#at)) || value < min || value > max) this.#fail(`a whole number from ${min} to ${max}`);
    return value;
  }

  /** A number of a protobuf enumeration, of our version of it or of a later one. To be asserted by the caller. */
  enumeration(): unknown {
    return this.integer(int32Min, int32Max);
  }

  /** A whole number of 64 bits with its sign, written without fraction and exponent. */
  int64(): bigint {
    const token = this.#token(integerToken);
    // The length goes first: parsing millions of digits takes quadratic time.
    const value = token.length <= 20 ? BigInt(token) : uint64Limit;
    if (/[.eE]/.test(this.#text.charAt(this.#at)) || BigInt.asIntN(64, value) !== value) this.#fail('a whole number of 64 bits');
    return value;
  }

  /** A number, rounded to what JavaScript can hold. */
  number(): number {
    return Number(this.#token(numberToken));
  }

  /** An unsigned number of 64 bits in any of the forms that were ever written: decimal text, integer, float. */
  uint64(): bigint {
    this.#next();
    const isText = this.#text.charAt(this.#at) === '"';
    const token = isText ? this.string() : this.#token(numberToken);
    if (token.length <= 21 && /^\+?\d+$/.test(token)) {
      const value = BigInt(token);
      if (value < uint64Limit) return value;
    } else if (!isText && /[.eE]/.test(token)) {
      const value = Number(token);
      // No float can hold 2^64 - 1: what was written for it reads as 2^64.
      if (value === Number(uint64Limit)) return uint64Limit - 1n;
      if (value >= 0 && value < Number(uint64Limit)) return BigInt(Math.trunc(value));
    }
    return this.#fail('an unsigned number of 64 bits');
  }

  /** An array of whole numbers from 0 to 255. */
  bytes(): Buffer {
    this.#expect('[', 'an array');
    const close = this.#text.indexOf(']', this.#at);
    const bytes = Buffer.allocUnsafe(Math.max(0, close - this.#at));
    let length = 0;
    this.#first = true;
    while (this.#more(']')) bytes[length++] = this.#byte();
    return Buffer.from(bytes.subarray(0, length));
  }

  /** Any value, checked for its structure and forgotten. */
  skip(depth = 0): void {
    if (depth > maxDepth) this.#fail(`at most ${maxDepth} levels`);
    this.#next();
    switch (this.#text.charAt(this.#at)) {
      case '{':
        this.openObject();
        while (this.key() !== undefined) this.skip(depth + 1);
        break;
      case '[':
        this.openArray();
        while (this.element()) this.skip(depth + 1);
        break;
      case '"':
        this.string();
        break;
      default:
        this.#scalar();
    }
  }

  /** Fails unless only white space is left. */
  end(): void {
    this.#next();
    if (this.#at < this.#text.length) this.#fail('the end');
  }

  /** Without a regular expression: there may be millions. */
  #byte(): number {
    this.#next();
    let value = 0;
    let digits = 0;
    for (let digit = this.#digit(); digit >= 0 && digit <= 9 && value <= 255; digit = this.#digit()) {
      value = value * 10 + digit;
      digits++;
      this.#at++;
    }
    if (digits === 0 || value > 255) this.#fail('a whole number from 0 to 255');
    return value;
  }

  #digit(): number {
    return this.#text.charCodeAt(this.#at) - 0x30;
  }

  #scalar(): void {
    const word = ['true', 'false', 'null'].find((candidate) => this.#text.startsWith(candidate, this.#at));
    if (word === undefined) this.#token(numberToken);
    else this.#at += word.length;
  }

  #more(close: '}' | ']'): boolean {
    this.#next();
    const first = this.#first;
    this.#first = false;
    if (this.#text[this.#at] === close) {
      this.#at++;
      return false;
    }
    if (!first) this.#expect(',', `"," or "${close}"`);
    return true;
  }

  #token(pattern: RegExp): string {
    this.#next();
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    if (token === undefined) return this.#fail('a number');
    this.#at += token.length;
    return token;
  }

  #expect(character: string, what: string): void {
    this.#next();
    if (this.#text[this.#at] !== character) this.#fail(what);
    this.#at++;
  }

  #next(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fail(what: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 20)) : 'the end';
    throw new SyntaxError(`malformed JSON at character ${this.#at}: expected ${what}, found ${found}`);
  }
}

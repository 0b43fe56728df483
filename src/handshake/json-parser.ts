/** The reading half of `json.ts`. */
import { WeightcastError } from '../errors.js';
import type { JsonObject, JsonValue } from './json-value.js';

/** Mooncake's deepest message has four levels; the parser recurses, so strangers must not choose the depth. */
const maxDepth = 32;
/**
 * Objects and arrays in one text. A descriptor of 128 MiB has about 4.2 million; without a bound a text full of `{}`
 * costs thirty times its size in memory.
 */
const maxContainers = 6_000_000;

/** V8 makes shorter slices copies. */
const shortestSlice = 13;
/** Different strings that one parser remembers; descriptors repeat a few locations thousands of times. */
const maxInterned = 256;

const quote = 0x22;
const backslash = 0x5c;

const escapes: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * Parses one JSON text; whitespace around it is fine, anything else behind it is not. A repeated key takes its last value.
 * Integers outside of [-2^63, 2^64 - 1] become doubles, as in jsoncpp.
 *
 * @throws WeightcastError `ERR_PROTOCOL` with the position of what is wrong.
 */
export function parseJson(text: string): JsonValue {
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #containers = 0;
  readonly #interned = new Map<string, string>();

  constructor(text: string) {
    this.#text = text;
  }

  parse(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail('the end of the text');
    return value;
  }

  #value(depth: number): JsonValue {
    this.#space();
    const code = this.#text.charCodeAt(this.#at);
    switch (code) {
      case quote:
        return this.#string();
      case 0x7b:
        return this.#object(depth);
      case 0x5b:
        return this.#array(depth);
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    this.#open(depth);
    const object: JsonObject = {};
    if (this.#closes(0x7d)) return object;
    for (;;) {
      this.#space();
      if (this.#text.charCodeAt(this.#at) !== quote) this.#fail('a key');
      const key = this.#string();
      this.#space();
      if (this.#text.charCodeAt(this.#at) !== 0x3a) this.#fail("':'");
      this.#at++;
      const value = this.#value(depth + 1);
      // A plain assignment to this one name would set the prototype.
      if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      else object[key] = value;
      if (this.#closes(0x7d)) return object;
      this.#comma("',' or '}'");
    }
  }

  #array(depth: number): JsonValue[] {
    this.#open(depth);
    const array: JsonValue[] = [];
    if (this.#closes(0x5d)) return array;
    for (;;) {
      array.push(this.#value(depth + 1));
      if (this.#closes(0x5d)) return array;
      this.#comma("',' or ']'");
    }
  }

  #open(depth: number): void {
    if (depth >= maxDepth) this.#fail(`at most ${String(maxDepth)} levels`);
    if (++this.#containers > maxContainers) this.#fail(`at most ${String(maxContainers)} objects and arrays`);
    this.#at++;
  }

  #closes(bracket: number): boolean {
    this.#space();
    if (this.#text.charCodeAt(this.#at) !== bracket) return false;
    this.#at++;
    return true;
  }

  #comma(expected: string): void {
    if (this.#text.charCodeAt(this.#at) !== 0x2c) this.#fail(expected);
    this.#at++;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value');
    this.#at += word.length;
    return value;
  }

  #string(): string {
    const text = this.#text;
    let run = ++this.#at;
    let decoded = '';
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === quote) {
        const tail = text.slice(run, this.#at++);
        return decoded === '' ? this.#detach(tail) : this.#detach(decoded + tail);
      }
      if (code === backslash) {
        decoded += text.slice(run, this.#at) + this.#escape();
        run = this.#at;
      } else if (code < 0x20 || Number.isNaN(code)) {
        this.#fail("'\"'");
      } else {
        this.#at++;
      }
    }
  }

  /** A slice would keep the whole text in memory for as long as somebody remembers one name of it. */
  #detach(slice: string): string {
    if (slice.length < shortestSlice) return slice;
    const known = this.#interned.get(slice);
    if (known !== undefined) return known;
    // Slicing a concatenation flattens it first, into memory of its own.
    const copy = ` ${slice}`.slice(1);
    if (this.#interned.size < maxInterned) this.#interned.set(copy, copy);
    return copy;
  }

  #escape(): string {
    const letter = this.#text.charAt(++this.#at);
    if (letter === 'u') {
      const hex = this.#text.slice(this.#at + 1, this.#at + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) this.#fail('four hex digits');
      this.#at += 5;
      return String.fromCharCode(parseInt(hex, 16));
    }
    const plain = Object.hasOwn(escapes, letter) ? escapes[letter] : undefined;
    if (plain === undefined) this.#fail('an escape');
    this.#at++;
    return plain;
  }

  #number(): number | bigint {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    const negative = text.charCodeAt(at) === 0x2d;
    if (negative) at++;
    const firstDigit = at;
    let magnitude = 0;
    for (let digit = text.charCodeAt(at) - 0x30; digit >= 0 && digit <= 9; digit = text.charCodeAt(++at) - 0x30) {
      magnitude = magnitude * 10 + digit;
    }
    const digits = at - firstDigit;
    if (digits === 0) this.#fail('a value');
    if (digits > 1 && text.charCodeAt(firstDigit) === 0x30) this.#fail('a number without leading zeros');
    const next = text.charCodeAt(at);
    if (next !== 0x2e && next !== 0x65 && next !== 0x45) {
      this.#at = at;
      if (digits <= 15) return negative && magnitude !== 0 ? -magnitude : magnitude;
      return integer(text.slice(start, at), digits);
    }
    while (/[0-9.eE+-]/.test(text.charAt(at))) at++;
    const literal = text.slice(start, at);
    if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(literal)) this.#fail('a number');
    this.#at = at;
    return Number(literal);
  }

  #fail(expected: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 12)) : 'the end';
    throw new WeightcastError('ERR_PROTOCOL', `malformed JSON at character ${String(this.#at)}: expected ${expected}, found ${found}`);
  }
}

function integer(literal: string, digits: number): number | bigint {
  // Twenty digits hold 2^64 - 1; the cost of longer ones would grow faster than their length.
  if (digits > 20) return Number(literal);
  const exact = BigInt(literal);
  if (exact < -(2n ** 63n) || exact >= 2n ** 64n) return Number(literal);
  const rounded = Number(exact);
  return Number.isSafeInteger(rounded) ? rounded : exact;
}

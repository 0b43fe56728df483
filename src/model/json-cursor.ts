/**
 * A strict pull parser for JSON that others wrote: safetensors headers and indexes. `JSON.parse` would hide duplicate
 * keys, round integers, and build objects in which a tensor called `__proto__` gets lost.
 */
import { quote } from './model-error.js';

/** What begins at the cursor. `other` is nothing that JSON knows. */
export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null' | 'other';

/** Called with what is wrong; must throw. */
export type JsonFail = (what: string) => never;

const kinds: Readonly<Record<string, JsonKind>> = { '{': 'object', '[': 'array', '"': 'string', t: 'true', f: 'false', n: 'null' };
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const needsCare = /[\\\u0000-\u001f]/;
const loneSurrogate = /\p{Surrogate}/u;
/** Nesting that is refused: as deep as the reference implementation goes, and far from our own stack's end. */
const maxDepth = 128;

/** Reads `text` from its beginning, one value a call. Every method skips white space before the value. */
export class JsonCursor {
  private position = 0;
  private depth = 0;

  constructor(
    private readonly text: string,
    private readonly fail: JsonFail,
  ) {}

  /** The kind of the next value; consumes nothing but white space. */
  peek(): JsonKind {
    const character = this.next();
    return kinds[character] ?? (character === '-' || (character >= '0' && character <= '9') ? 'number' : 'other');
  }

  /** An object: `visit` gets each key and must consume its value. Duplicate keys fail. */
  object(visit: (key: string) => void): void {
    this.expect('{', 'an object');
    this.enter();
    const keys = new Set<string>();
    if (this.next() !== '}') {
      do {
        const key = this.string();
        if (keys.has(key)) this.fail(`duplicate key ${quote(key)} before character ${this.position}`);
        keys.add(key);
        this.expect(':', '":" after a key');
        visit(key);
      } while (this.comma());
    }
    this.expect('}', '"," or "}"');
    this.depth--;
  }

  /** An array: `visit` is called before each element and must consume it. */
  array(visit: (index: number) => void): void {
    this.expect('[', 'an array');
    this.enter();
    let index = 0;
    if (this.next() !== ']') {
      do visit(index++);
      while (this.comma());
    }
    this.expect(']', '"," or "]"');
    this.depth--;
  }

  /** A string; one that is not well-formed Unicode fails. */
  string(): string {
    this.expect('"', 'a string');
    const start = this.position;
    const quick = this.text.indexOf('"', start);
    if (quick < 0) return this.fail('a string does not end');
    const slice = this.text.slice(start, quick);
    if (!needsCare.test(slice)) {
      this.position = quick + 1;
      return slice;
    }
    let end = start;
    for (; end < this.text.length && this.text[end] !== '"'; end++) if (this.text[end] === '\\') end++;
    if (end >= this.text.length) return this.fail('a string does not end');
    this.position = end + 1;
    let value: string;
    try {
      value = JSON.parse(this.text.slice(start - 1, end + 1)) as string;
    } catch {
      return this.fail(`invalid escape or control character in the string at character ${start - 1}`);
    }
    if (loneSurrogate.test(value)) return this.fail(`lone surrogate in the string at character ${start - 1}`);
    return value;
  }

  /** A whole number between 0 and 2^64 - 1, written without sign, fraction and exponent. */
  unsigned(): bigint {
    const token = this.number();
    if (!/^\d+$/.test(token)) return this.fail(`expected a whole number ≥ 0, got ${token.slice(0, 40)}`);
    // 20 digits hold 2^64 - 1; the length goes first because parsing millions of digits takes quadratic time.
    const value = token.length <= 20 ? BigInt(token) : 2n ** 64n;
    if (value >= 2n ** 64n) return this.fail(`the number ${token.slice(0, 40)}${token.length > 40 ? '…' : ''} exceeds 2^64 - 1`);
    return value;
  }

  /** Any value, checked for syntax and forgotten. */
  skip(): void {
    const kind = this.peek();
    if (kind === 'object') this.object(() => this.skip());
    else if (kind === 'array') this.array(() => this.skip());
    else if (kind === 'string') this.string();
    else if (kind === 'number') this.number();
    else this.literal(kind);
  }

  /** Fails unless only white space is left. */
  end(): void {
    if (this.next() !== '') this.fail(`text after the end of the JSON value, at character ${this.position}`);
  }

  private literal(kind: JsonKind): void {
    if (kind === 'other' || !this.text.startsWith(kind, this.position)) this.expected('a JSON value');
    this.position += kind.length;
  }

  private number(): string {
    this.next();
    numberToken.lastIndex = this.position;
    const token = numberToken.exec(this.text)?.[0];
    if (token === undefined) return this.expected('a number');
    this.position += token.length;
    return token;
  }

  private enter(): void {
    if (++this.depth > maxDepth) this.fail(`nested deeper than ${maxDepth} levels`);
  }

  private comma(): boolean {
    if (this.next() !== ',') return false;
    this.position++;
    return true;
  }

  private expect(character: string, what: string): void {
    if (this.next() !== character) this.expected(what);
    this.position++;
  }

  private expected(what: string): never {
    const found = this.position < this.text.length ? quote(this.text.slice(this.position, this.position + 20)) : 'the end';
    return this.fail(`expected ${what} at character ${this.position}, found ${found}`);
  }

  /** Skips white space; the character there, `''` at the end. */
  private next(): string {
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return this.text.charAt(this.position);
      this.position++;
    }
  }
}

/** Text of UTF-8 bytes; a byte order mark stays, and is then no JSON. */
export function decodeUtf8(bytes: Buffer, fail: JsonFail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail('is not valid UTF-8');
  }
}

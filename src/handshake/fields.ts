/** Type-checked access to the fields of a peer's JSON object. Absent and `null` read as empty, as in jsoncpp. */
import { WeightcastError } from '../errors.js';
import { type JsonObject, type JsonValue, stringifyCompact } from './json.js';

/** 16 bytes as hex pairs joined by `:`; not the usual notation of eight 16-bit groups. */
const gidPattern = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){15}$/i;

/** Where an object stands, for messages. */
export interface Place {
  /** What was received, and from whom if known: "segment descriptor of 10.0.0.5:15428". */
  readonly message: string;
  readonly peer?: string | undefined;
  /** Name of the list or object around it; `''` at the top. */
  readonly list?: string;
}

/** One object of a message. Every getter throws `ERR_PROTOCOL` that names the field, what it must be and what it is. */
export class Fields {
  readonly #object: JsonObject;
  readonly #place: Place;
  readonly #index: number;

  /** `index`: in the place's list, for messages like `buffers[17].addr`. Cheap, as there may be thousands of a place. */
  constructor(value: unknown, place: Place, index = -1) {
    this.#place = place;
    this.#index = index;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.#fail(undefined, 'an object', value);
    this.#object = value as JsonObject;
  }

  /** The value, `undefined` when absent or `null`. No key of the wire is one that every object has. */
  raw(key: string): JsonValue | undefined {
    return this.#object[key] ?? undefined;
  }

  /** `''` when absent. At most `maxLength` characters; any number when left out. */
  string(key: string, maxLength = Infinity): string {
    const value = this.raw(key) ?? '';
    if (typeof value !== 'string') this.fail(key, 'a string');
    if (value.length > maxLength) this.fail(key, `at most ${String(maxLength)} characters`);
    return value;
  }

  /** As {@link string}, but not `''`. */
  nonEmpty(key: string, maxLength = Infinity): string {
    const value = this.string(key, maxLength);
    if (value === '') this.fail(key, 'a non-empty string');
    return value;
  }

  /** A GID in the canonical form of 47 characters; `''` when absent and `optional`. */
  gid(key: string, optional: boolean): string {
    const value = this.string(key);
    if (value === '' && optional) return '';
    if (!gidPattern.test(value)) this.fail(key, '16 hex pairs joined by ":"');
    if (value.length === 47) return value.toLowerCase();
    return value
      .toLowerCase()
      .split(':')
      .map((byte) => byte.padStart(2, '0'))
      .join(':');
  }

  /** An integer in [0, max]; `absent` when there is none. */
  uint(key: string, max: number, absent = 0): number {
    const value = this.raw(key) ?? absent;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
      this.fail(key, `an integer from 0 to ${String(max)}`);
    return value;
  }

  /** An integer in [1, 2^64 - 1]. */
  positive64(key: string): bigint {
    const value = this.raw(key);
    if (typeof value === 'bigint' && value > 0n) return value;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) this.fail(key, 'an integer from 1 to 2^64 - 1');
    return BigInt(value);
  }

  /** `undefined` when absent. */
  boolean(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value !== undefined && typeof value !== 'boolean') this.fail(key, 'true or false');
    return value;
  }

  /** `[]` when absent. */
  array(key: string): JsonValue[] {
    const value = this.raw(key) ?? [];
    if (!Array.isArray(value)) this.fail(key, 'an array');
    return value;
  }

  /** An array of integers in [0, max]; `[]` when absent. */
  uints(key: string, max: number): number[] {
    const values = this.array(key);
    for (const value of values) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
        this.fail(key, `integers from 0 to ${String(max)}`);
      }
    }
    return values as number[];
  }

  /** An object below this one; `undefined` when absent. */
  child(key: string): Fields | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || Array.isArray(value)) this.fail(key, 'an object');
    return new Fields(value, { message: this.#place.message, peer: this.#place.peer, list: this.#path(key) });
  }

  entries(): [string, JsonValue][] {
    return Object.entries(this.#object);
  }

  fail(key: string, expected: string): never {
    this.#fail(key, expected, this.raw(key));
  }

  #path(key: string | undefined): string {
    const { list = '' } = this.#place;
    const parent = this.#index < 0 ? list : `${list}[${String(this.#index)}]`;
    if (key === undefined) return parent === '' ? 'it' : parent;
    return parent === '' ? key : `${parent}.${key}`;
  }

  #fail(key: string | undefined, expected: string, received: unknown): never {
    const { message, peer } = this.#place;
    throw new WeightcastError('ERR_PROTOCOL', `${message}: expected ${expected} as ${this.#path(key)}, received ${excerpt(received)}`, {
      peer,
    });
  }
}

/** At most 60 characters of a value of any size. */
function excerpt(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${String(value.length)}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'number' ? String(value) : stringifyCompact(value as JsonValue);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * JSON as Mooncake peers write it: addresses, lengths and keys are integers up to 2^64 - 1, which `JSON.parse` rounds.
 * Hence a small strict parser and a writer that emits what jsoncpp's FastWriter emits: compact, ASCII, keys sorted bytewise.
 */
import { WeightcastError } from '../errors.js';
import type { JsonObject, JsonValue } from './json-value.js';

export { parseJson } from './json-parser.js';
export type { JsonObject, JsonValue } from './json-value.js';

/** The compact form without a line feed: keys sorted bytewise, integers as decimals, everything beyond ASCII escaped. */
export function stringifyCompact(value: JsonValue | undefined): string {
  if (typeof value === 'string') return quoteAscii(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `JSON has no form for the number ${String(value)}`);
  }
  if (typeof value !== 'object') return value === undefined ? 'null' : String(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map(stringifyCompact).join(',')}]`;
  const members: string[] = [];
  for (const key of sortedKeys(value)) {
    const member = value[key];
    if (member !== undefined) members.push(`${quoteAscii(key)}:${stringifyCompact(member)}`);
  }
  return `{${members.join(',')}}`;
}

function sortedKeys(object: JsonObject): string[] {
  const keys = Object.keys(object).sort();
  // UTF-16 order differs from byte order only where surrogate pairs meet U+E000 to U+FFFF.
  return keys.some((key) => /[\ud800-\udfff]/.test(key)) ? keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))) : keys;
}

function quoteAscii(text: string): string {
  return JSON.stringify(text).replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

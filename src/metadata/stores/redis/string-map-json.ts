/** Maps of strings as JSON objects. Built by hand, because objects lose the key `__proto__` and reorder keys that look like integers. */
import type { JsonReader } from './json-reader.js';

/** Keys in order, so that equal maps have equal texts. */
export function stringMapJson(map: Readonly<Record<string, string>>): string {
  const members = Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
}

export function readStringMap(json: JsonReader): Record<string, string> {
  const map: Record<string, string> = {};
  json.openObject();
  for (let key = json.key(); key !== undefined; key = json.key()) {
    const name = Buffer.from(key).toString();
    Object.defineProperty(map, name, { value: json.detachedString(), enumerable: true, configurable: true, writable: true });
  }
  return map;
}

/** What changes on the page, as lists of keyed pieces of markup, and how one state of it becomes the next in the browser. */
import type { Patch } from '../browser/page/patch-message.js';

/** The children of one element, by key, in order. */
export type Region = ReadonlyMap<string, string>;

/** By the id of the element. An element comes before those inside of it. */
export type Regions = ReadonlyMap<string, Region>;

/** What turns `before` into `after`; without `before`, all of it. Empty: nothing changed. */
export function difference(before: Regions | undefined, after: Regions): Patch {
  const patch: Patch = [];
  for (const [id, region] of after) {
    const known = before?.get(id);
    if (known === region) continue;
    const keys = [...region.keys()];
    const sameOrder = known?.size === region.size && zip(known.keys(), keys);
    const set = [...region].filter(([key, markup]) => known?.get(key) !== markup);
    if (!sameOrder || set.length > 0) patch.push([id, sameOrder ? null : keys, set]);
  }
  return patch;
}

function zip(before: Iterable<string>, after: readonly string[]): boolean {
  let index = 0;
  for (const key of before) if (key !== after[index++]) return false;
  return true;
}

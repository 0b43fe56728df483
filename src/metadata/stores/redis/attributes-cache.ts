/** Attributes of sources, decoded once for as long as their text stays the same. */
import type { SourceAttributes } from '../store.js';
import { decodeAttributes } from './attributes-json.js';
import { Recent } from './recent.js';

const budgetBytes = 16 * 1024 * 1024;

export class AttributesCache {
  readonly #known = new Recent<{ readonly text: string; readonly attributes: SourceAttributes | undefined }>(budgetBytes);

  /** `undefined` for a text that is absent or no attributes. */
  decode(sourceId: string, text: string | null | undefined): SourceAttributes | undefined {
    if (text === null || text === undefined) return undefined;
    const known = this.#known.get(sourceId);
    if (known?.text === text) return known.attributes;
    const attributes = decodeAttributes(text);
    this.#known.set(sourceId, { text, attributes }, 2 * text.length);
    return attributes;
  }
}

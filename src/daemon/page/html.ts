/** HTML that cannot be forgotten to be escaped: text becomes part of it only through {@link html}. */

/** Markup. Whoever makes one from a string vouches for it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | readonly Html[] | string | number;

/** A template whose values are escaped, for element content and for attributes in double quotes; markup in them is kept. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  const literals = compact(strings);
  let text = literals[0] ?? '';
  values.forEach((value, index) => (text += render(value) + (literals[index + 1] ?? '')));
  return new Html(text);
}

const compacted = new WeakMap<TemplateStringsArray, readonly string[]>();

/** The indentation of the source is not sent. */
function compact(strings: TemplateStringsArray): readonly string[] {
  let literals = compacted.get(strings);
  if (literals === undefined) {
    literals = strings.map((text) => text.replace(/\s*\n\s*/g, '\n'));
    compacted.set(strings, literals);
  }
  return literals;
}

export const nothing = new Html('');

/** One after the other. */
export function join(parts: readonly Html[]): Html {
  return new Html(parts.map((part) => part.text).join(''));
}

function render(value: Part): string {
  if (value instanceof Html) return value.text;
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? escapeHtml(value) : value.map((part) => part.text).join('');
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Control characters, which HTML does not allow, and those that turn the direction of text become a visible mark. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** Text of others, shortened to what a page can show. */
export function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}

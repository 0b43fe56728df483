/** Brings the elements of the page up to date, touching only what changed, so that focus and scroll position stay. */
import type { Patch, RegionPatch } from './patch-message.js';

/** Something with a status that is new or has another one. */
export interface StatusChange {
  readonly name: string;
  /** `undefined`: it was not there. */
  readonly before: string | undefined;
  readonly after: string;
}

/** The markup that an element was made of; what the document came with is not known. */
const markupOf = new WeakMap<Element, string>();

export function applyPatch(patch: Patch): StatusChange[] {
  return patch.flatMap(applyRegion);
}

function applyRegion([id, order, set]: RegionPatch): StatusChange[] {
  const region = document.getElementById(id);
  if (region === null) return [];
  const children = new Map([...region.children].map((child) => [child.getAttribute('data-key') ?? '', child]));
  const changes: StatusChange[] = [];
  for (const [key, markup] of set) {
    const old = children.get(key);
    if (old !== undefined && markupOf.get(old) === markup) continue;
    const element = parse(markup);
    if (element === null) continue;
    children.set(key, element);
    if (old !== undefined) replace(old, element);
    const { name, status } = element.dataset;
    const before = old?.getAttribute('data-status') ?? undefined;
    if (name !== undefined && status !== undefined && status !== before) changes.push({ name, before, after: status });
  }
  if (order !== null) arrange(region, order, children);
  return changes;
}

/** The markup comes from the server, which has escaped what is not its own. */
function parse(markup: string): HTMLElement | null {
  const template = document.createElement('template');
  template.innerHTML = markup;
  const element = template.content.firstElementChild;
  if (!(element instanceof HTMLElement)) return null;
  markupOf.set(element, markup);
  return element;
}

function replace(old: Element, element: Element): void {
  const focused = document.activeElement;
  const link = focused !== null && old.contains(focused) ? focused.getAttribute('href') : null;
  old.replaceWith(element);
  if (link === null) return;
  for (const candidate of element.querySelectorAll<HTMLElement>('a[href]')) {
    if (candidate.getAttribute('href') === link) candidate.focus({ preventScroll: true });
  }
}

/** Children that are not in `order` go. */
function arrange(region: Element, order: readonly string[], children: ReadonlyMap<string, Element>): void {
  let next = region.firstElementChild;
  for (const key of order) {
    const child = children.get(key);
    if (child === undefined) continue;
    if (child === next) next = next.nextElementSibling;
    else region.insertBefore(child, next);
  }
  while (next !== null) {
    const gone = next;
    next = next.nextElementSibling;
    gone.remove();
  }
}

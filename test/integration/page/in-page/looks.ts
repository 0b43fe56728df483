/** What the style sheet makes of elements. */

/** How far the page is wider than the screen, and the elements that stand out of it. */
export function overflow(): { readonly page: number; readonly elements: string[] } {
  const edge = document.documentElement.clientWidth;
  const seen = [...document.body.querySelectorAll('*')].filter((element) => element.closest('.unseen, .skip, thead') === null);
  const wide = seen.filter((element) => element.getBoundingClientRect().right > edge + 0.5);
  return { page: document.documentElement.scrollWidth - edge, elements: wide.map((element) => element.outerHTML.slice(0, 80)) };
}

/** What stands before the first such element by the style sheet. */
export function textBefore(selector: string): string {
  const element = document.querySelector(selector);
  return element === null ? '' : getComputedStyle(element, '::before').content;
}

/** Whether the element with the focus shows it. */
export function focusIsSeen(): boolean {
  const focused = document.activeElement;
  return focused !== null && focused !== document.body && getComputedStyle(focused).outlineStyle === 'solid';
}

export function isDark(): boolean {
  const [red = 255] = (getComputedStyle(document.body).backgroundColor.match(/\d+/g) ?? []).map(Number);
  return red < 128;
}

/** The names of a browser's library that playwright's types mention. Only pages hold such objects; tests never do. */
interface Node {
  readonly baseURI: string;
}
interface HTMLElement extends Node {
  readonly innerText: string;
}
interface SVGElement extends Node {
  readonly viewportElement: SVGElement | null;
}
type HTMLElementTagNameMap = Record<string, HTMLElement>;

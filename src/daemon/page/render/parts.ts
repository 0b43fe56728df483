/** Small pieces that several parts of the page are made of. */
import { ageText } from '../browser/page/age-text.js';
import { cut, html, type Html, nothing } from '../html.js';

/** A time that the browser keeps up to date; without JavaScript, as of now. Unix milliseconds. */
export function age(at: number, now: number): Html {
  return html`<time data-at="${at}" datetime="${isoTime(at)}">${ageText(now - at)}</time>`;
}

function isoTime(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet';

/** A status by word, shape and colour. */
export function pill(tone: Tone, text: string): Html {
  return html`<span class="pill ${tone}"><span class="shape" aria-hidden="true"></span>${text}</span>`;
}

/** A cell of a table; on narrow screens its label stands beside it. Empty ones are not shown there. */
export function cell(label: string, content: Html | string): Html {
  const text = typeof content === 'string' ? content : content.text;
  if (text === '') return html`<td role="cell" class="none" data-label="${label}"></td>`;
  return html`<td role="cell" data-label="${label}"><div>${content}</div></td>`;
}

/** A name or id of others, in full where there is room, and never longer than `longest`. */
export function code(text: string, longest = 80): Html {
  return text === '' ? nothing : html`<code>${cut(text, longest)}</code>`;
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

/** Tables become cards on narrow screens, where their roles would be lost if they were not written down. */
export function table(kind: 'workers' | 'transfers', caption: Html | string, columns: readonly string[], body: Html): Html {
  const heads = columns.map((column) => html`<th role="columnheader" scope="col">${column}</th>`);
  return html`<table role="table" class="${kind}">
    <caption class="unseen">
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${heads}
      </tr>
    </thead>
    ${body}
  </table>`;
}

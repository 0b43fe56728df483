/** Keeps the page up to date. All of its content is made by the server, so that it reads the same without this script. */
import { ageText } from './page/age-text.js';
import { announcement } from './page/announce.js';
import { applyPatch } from './page/patch.js';
import { Stream } from './page/stream.js';

const live = document.getElementById('live');
const changes = document.getElementById('changes');
const form = document.getElementById('filter');
const input = document.getElementById('q');

/** Ages are by the server's clock. Milliseconds. */
let clockOffset = Number(document.body.dataset['now']) - Date.now();

function showAges(): void {
  const now = Date.now() + clockOffset;
  for (const time of document.querySelectorAll<HTMLElement>('time[data-at]')) {
    const text = ageText(now - Number(time.dataset['at']));
    if (time.textContent !== text) time.textContent = text;
  }
}

function showState(state: 'connecting' | 'live' | 'lost', text: string): void {
  if (live === null || live.dataset['state'] === state) return;
  live.dataset['state'] = state;
  live.textContent = text;
}

const stream = new Stream({
  heard: (at) => {
    clockOffset = at - Date.now();
    showState('live', 'Live');
  },
  view: ({ patch, whole }) => {
    const changed = applyPatch(patch).filter(({ before }) => !whole || before !== undefined);
    showAges();
    if (changed.length > 0 && changes !== null) changes.textContent = announcement(changed);
  },
  lost: () => {
    showState('lost', `No news since ${new Date().toLocaleTimeString()}; reconnecting …`);
  },
});

showState('connecting', 'Connecting …');
stream.open(filter());
showAges();
setInterval(showAges, 1000);

/** Milliseconds without a keystroke after which a filter is applied. */
const settleMs = 250;
let typing = 0;

function filter(): string {
  return input instanceof HTMLInputElement ? input.value.trim() : '';
}

function applyFilter(): void {
  clearTimeout(typing);
  const q = filter();
  history.replaceState(null, '', q === '' ? '/' : `/?${new URLSearchParams({ q }).toString()}`);
  stream.open(q);
}

input?.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(applyFilter, settleMs);
});
form?.addEventListener('submit', (event) => {
  event.preventDefault();
  applyFilter();
});

/** Changes of status in words, for those who do not see them. */
import type { StatusChange } from './patch.js';

/** More at once are only counted. */
const most = 3;

export function announcement(changes: readonly StatusChange[]): string {
  if (changes.length > most) return `${String(changes.length)} changes of status.`;
  return changes.map(({ name, before, after }) => `${name}: ${before === undefined ? '' : 'now '}${after}.`).join(' ');
}

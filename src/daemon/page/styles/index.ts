/** How the page looks. */
import { base } from './base.js';
import { cards } from './cards.js';
import { colours } from './colours.js';
import { frame } from './frame.js';
import { narrow } from './narrow.js';
import { tables } from './tables.js';

/** Later rules win. */
export const stylesheet = [colours, base, frame, cards, tables, narrow].join('');

/** What a reader of the figures of `bench read` must know. */
import type { Link } from '../link/link.js';
import { linkNotes } from '../link/notes.js';
import type { ReadBenchOptions } from './options.js';

export function notesOf({ depth, loneReads }: ReadBenchOptions, link: Link, perftest: boolean): string[] {
  const notes = [
    ...linkNotes(link),
    'GB/s are 10^9 bytes a second, from the first request of a pass to its last byte; finding, registering and connecting are not in them',
    'each pass reads memory that the pass before did not read into memory of its own; all of it was compared with what the seed has, after the clock had stopped',
  ];
  if (loneReads > 0) {
    notes.push('lone reads: one read over a path of its own with nothing else under way; starting the thread that reads is in it');
  }
  if (link.transport === 'tcp') {
    notes.push(
      `a TCP connection has one read outstanding: --qp is the number of connections${depth.outstanding === undefined ? '' : ', and --outs says nothing here'}`,
    );
  }
  if (perftest) notes.push('ib_read_bw reads the same few bytes over and over, out of the cache: that flatters it');
  return notes;
}

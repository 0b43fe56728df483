/** How many files, connections among them, the system lets this process open. */
import { readFile } from 'node:fs/promises';

/** Files that the rest of the process needs: libraries, stores, other servers, clients. */
const reserve = 128;

/** Connections that fit; `Infinity` where the system does not say. */
export async function connectionsThatFit(): Promise<number> {
  try {
    const limits = await readFile('/proc/self/limits', 'utf8');
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? Infinity : Math.max(1, Number(soft) - reserve);
  } catch {
    return Infinity;
  }
}

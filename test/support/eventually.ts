/** Waiting for what must come, without guessing how long it takes. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again until the answer is not undefined; after `timeoutMs` fails with what was waited for. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined> | T | undefined, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() >= deadline) throw new Error(`still no ${what} after ${String(timeoutMs)} ms`);
    await sleep(50);
  }
}

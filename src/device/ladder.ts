/** The ways to an accelerator's memory, tried one after the other. */
import { toWeightcastError } from '../errors.js';
import { devicePaths, type DevicePathChoice, type DirectPath } from './path.js';

/** What came of trying: `registered` on a direct path, nothing with staging. */
export type Climbed<T> =
  | { readonly path: DirectPath; readonly registered: T; readonly reason: string }
  | { readonly path: 'staging'; readonly registered: undefined; readonly reason: string };

/**
 * The first way that works, or the one that was asked for.
 * @param attempt registers all memory on all NICs in one way; leaves nothing registered when it rejects.
 * @throws what `attempt` throws where another way would not help, or none other is allowed.
 */
export async function climb<T>(choice: DevicePathChoice, attempt: (path: DirectPath) => Promise<T>): Promise<Climbed<T>> {
  const reasons: string[] = [];
  for (const path of choice === 'auto' ? devicePaths : [choice]) {
    const reason = reasons.join('; ');
    if (path === 'staging') return { path, registered: undefined, reason };
    try {
      return { path, registered: await attempt(path), reason };
    } catch (error) {
      if (choice !== 'auto' || !isRefusal(error)) throw error;
      reasons.push(toWeightcastError(error).message);
    }
  }
  throw new RangeError('the ladder has no last rung');
}

/** Whether this says that the memory cannot be registered in this way, rather than that something is broken. */
export function isRefusal(error: unknown): boolean {
  return ['ERR_REGISTRATION', 'ERR_MEMLOCK_LIMIT'].includes(toWeightcastError(error).code);
}

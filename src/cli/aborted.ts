import { once } from 'node:events';
import { WeightcastError } from '../errors.js';

/** Never resolves; rejects with ERR_ABORTED when the signal fires. To be raced against what has no signal of its own. */
export async function aborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw new WeightcastError('ERR_ABORTED', 'aborted', { cause: signal.reason });
}

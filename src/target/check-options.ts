import { WeightcastError } from '../errors.js';
import { destinationWriter } from './destinations/index.js';
import type { PullOptions } from './options.js';

/**
 * What can be wrong with the options alone, found before anybody is asked for anything.
 * @throws ERR_INVALID_ARGUMENT.
 */
export function checkOptions({ into, maxSources, transferTimeoutMs }: PullOptions): void {
  // Made and dropped: it opens nothing before it is prepared.
  destinationWriter(into);
  if (maxSources !== undefined && !(Number.isInteger(maxSources) && maxSources >= 1)) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `Expected an integer, 1 or more, for maxSources but received ${String(maxSources)}`);
  }
  if (transferTimeoutMs !== undefined && !(transferTimeoutMs > 0)) {
    throw new WeightcastError(
      'ERR_INVALID_ARGUMENT',
      `Expected a positive number of milliseconds for transferTimeoutMs but received ${String(transferTimeoutMs)}`,
    );
  }
}

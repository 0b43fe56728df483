/** Which numbers are a status. */
import type { SourceStatus } from '../../../gen/model_express/p2p.js';

/** Those of later versions are not: peers neither filter by them nor set them. */
export function isStatus(status: SourceStatus | undefined): status is SourceStatus {
  const number: number = status ?? -1;
  return number >= 0 && number <= 3;
}

import type { EndpointLimits } from '../endpoint-limits.js';

/** What a client is told that calls too often. */
export function rateText({ callRatePerClient, callBurstPerClient }: EndpointLimits): string {
  return `more than ${callRatePerClient} calls a second after a burst of ${callBurstPerClient} (limit callRatePerClient); try again later`;
}

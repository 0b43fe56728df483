/** What calls from one address may do, whoever they say they are. */
import type { EndpointLimits } from '../endpoint-limits.js';
import type { ClientState } from '../per-client.js';
import { TokenBucket } from '../token-bucket.js';

/** Refusals that are forgotten in a second. */
const forgottenPerSecond = 200;
/** What an address may send at once after a quiet time. Bytes. */
const receivingBurst = 128 * 1024 * 1024;

export class AddressCalls implements ClientState {
  readonly rate: TokenBucket;
  readonly refusals: TokenBucket;
  /** Bytes of requests. */
  readonly bytes: TokenBucket;

  constructor(limits: EndpointLimits) {
    this.rate = new TokenBucket(limits.callRatePerClient, limits.callBurstPerClient);
    this.refusals = new TokenBucket(forgottenPerSecond, limits.refusalsPerClient);
    this.bytes = new TokenBucket(limits.receivingRatePerClient, receivingBurst);
  }

  get idle(): boolean {
    return this.rate.full && this.refusals.full && this.bytes.full;
  }
}

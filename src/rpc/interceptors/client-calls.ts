/** What one client has under way. */
import type { EndpointLimits } from '../endpoint-limits.js';
import type { ClientState } from '../per-client.js';
import { TokenBucket } from '../token-bucket.js';
import { Places } from '../places.js';

export class ClientCalls implements ClientState {
  /** Calls under way. */
  running = 0;
  /** Those among them whose requests are streams. */
  requestStreams = 0;
  readonly rate: TokenBucket;
  /** Requests that are received: each takes a place. */
  readonly receiving: Places;
  /** Bytes of replies on their way. */
  readonly sending: Places;

  constructor(limits: EndpointLimits) {
    this.rate = new TokenBucket(limits.callRatePerClient, limits.callBurstPerClient);
    this.receiving = new Places(limits.receivingPerClient);
    this.sending = new Places(limits.sendingBytesPerClient);
  }

  get idle(): boolean {
    return this.running === 0 && this.rate.full && this.receiving.idle && this.sending.idle;
  }
}

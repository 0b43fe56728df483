import type { ConnectionMessage } from './messages.js';

/** The reply that refuses a Connection: a full object with a reason, which old initiators understand as well. */
export function rejection(request: ConnectionMessage | undefined, reason: string): ConnectionMessage {
  return {
    localNicPath: request?.peerNicPath ?? '',
    peerNicPath: request?.localNicPath ?? '',
    queuePairs: [],
    replyMessage: reason === '' ? 'rejected' : reason,
    localGid: '',
    localLid: 0,
  };
}

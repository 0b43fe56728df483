/** What two sides agree on beyond Mooncake's fields; a peer that says nothing gets Mooncake's constants. */

/** Outstanding reads a queue pair that every Mooncake peer uses, as reader and as responder. */
export const legacyReads = 16;

/** Path MTU in bytes: the smaller of two known ones; 0 (the own port's) when the peer did not say. */
export function agreedMtu(own: number, peer: number | undefined): number {
  return peer === undefined ? 0 : Math.min(own, peer);
}

/** Queue pair numbers that a peer has not just heard from us. */
import type { NativeEndpoint, NativeNic } from '../native.js';

/** The last list for each pair of paths, oldest pair first. */
const lastNumbers = new Map<string, string>();
/** Pairs remembered: some hundred bytes each. */
const mostPairs = 4096;

/**
 * Queue pairs whose numbers are not those that `paths` last stood for. A Mooncake peer (0.3.10.post2 and later) takes the same list
 * for a repeated question: it answers again and leaves its queue pairs as they are, in the middle of their packet sequence,
 * while drivers may well hand out the numbers that were just freed.
 *
 * @param paths local and remote NIC path.
 * @throws what `createEndpoint` rejects with.
 */
export async function createUnheard(nic: NativeNic, count: number, sendDepth: number, paths: string): Promise<NativeEndpoint> {
  let endpoint = await nic.createEndpoint('initiator', count, sendDepth);
  if (lastNumbers.get(paths) === endpoint.numbers.join()) {
    const heard = endpoint;
    try {
      // While these exist, others have other numbers.
      endpoint = await nic.createEndpoint('initiator', count, sendDepth);
    } finally {
      await heard.close();
    }
  }
  lastNumbers.delete(paths);
  lastNumbers.set(paths, endpoint.numbers.join());
  const [oldest] = lastNumbers.keys();
  if (lastNumbers.size > mostPairs && oldest !== undefined) lastNumbers.delete(oldest);
  return endpoint;
}

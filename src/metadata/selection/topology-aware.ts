import type { SourceInstanceRef } from '../../gen/model_express/p2p.js';
import { clampedLoad } from './load-aware.js';
import { unitHash } from './rendezvous-hash.js';
import { byScore, type SourceSelector } from './selector.js';
import type { Topology } from './topology.js';

export interface TopologyAwareSettings {
  /** Broad to narrow. */
  readonly levels: readonly string[];
  /** The target's own. */
  readonly local: Topology;
  /** Among sources at the same distance: how much a fully busy one loses; 0 leaves the load out. */
  readonly loadWeight: number;
}

/** The nearest source first; among those at the same distance by rendezvous hash, so that they share the targets. */
export function topologyAwareSelector({ levels, local, loadWeight }: TopologyAwareSettings): SourceSelector {
  const score = (candidate: SourceInstanceRef, hash: number): { depth: number; tiebreak: number } => ({
    depth: sharedDepth(levels, local, candidate.topology),
    // A load that is not published counts as idle here, unlike in load_aware: that is what peers do.
    tiebreak: loadWeight > 0 ? hash - loadWeight * clampedLoad(candidate.sourceLoad ?? 0) : hash,
  });
  return {
    name: 'topology_aware',
    order: (candidates, target) =>
      byScore(
        candidates,
        (candidate) => score(candidate, unitHash(candidate, target)),
        (a, b) => a.depth - b.depth || a.tiebreak - b.tiebreak,
      ),
  };
}

/**
 * Index of the narrowest level up to which both agree; -1 when they share nothing. It stops at the first disagreement:
 * names are unique only inside the level above, and rack r1 of another block is not near.
 */
export function sharedDepth(levels: readonly string[], local: Topology, remote: Topology): number {
  let depth = -1;
  for (const [index, level] of levels.entries()) {
    const here = valueAt(local, level);
    const there = valueAt(remote, level);
    if (here === undefined && there === undefined) continue;
    if (here !== there) break;
    depth = index;
  }
  return depth;
}

/** Own entries only: a level may have any name, `constructor` too. */
function valueAt(topology: Topology, level: string): string | undefined {
  return Object.hasOwn(topology, level) ? topology[level] : undefined;
}

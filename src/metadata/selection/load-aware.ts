import type { SourceInstanceRef } from '../../gen/model_express/p2p.js';
import { unitHash } from './rendezvous-hash.js';
import { byScore, type SourceSelector } from './selector.js';

/** A source that publishes no load is neither idle nor busy. */
const unknownLoadPrior = 0.5;

/**
 * Rendezvous hashing that turns away from busy sources: hash − weight × load. With equal loads it is `rendezvous_hash`.
 * @param weight how much a fully busy source loses; finite, 0 or more.
 */
export function loadAwareSelector(weight: number): SourceSelector {
  const load = ({ sourceLoad }: SourceInstanceRef): number => (sourceLoad === undefined ? unknownLoadPrior : clampedLoad(sourceLoad));
  return {
    name: 'load_aware',
    order: (candidates, target) =>
      byScore(
        candidates,
        (candidate) => unitHash(candidate, target) - weight * load(candidate),
        (a, b) => a - b,
      ),
  };
}

/** What peers publish, in [0, 1]; what is no number counts as idle, as it does for them. */
export function clampedLoad(load: number): number {
  return Number.isNaN(load) ? 0 : Math.min(1, Math.max(0, load));
}

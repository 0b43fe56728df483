/** What orders the sources that a target could pull from. */
import type { SourceInstanceRef } from '../../gen/model_express/p2p.js';

/** The target, as far as an order depends on it. */
export interface SelectionTarget {
  readonly modelName: string;
  /** The target's own worker id. */
  readonly workerId: string;
  readonly workerRank: number;
}

/** Orders candidates; a pull tries them from the first on. */
export interface SourceSelector {
  /** For results and logs. */
  readonly name: string;
  /** The same candidates, best first. They are READY, of the target's rank and of a compatible accelerator. */
  order(candidates: readonly SourceInstanceRef[], target: SelectionTarget): readonly SourceInstanceRef[];
}

/** `candidates` by `compare` of their scores, the highest first; equal ones stay in order. */
export function byScore<Score>(
  candidates: readonly SourceInstanceRef[],
  score: (candidate: SourceInstanceRef) => Score,
  compare: (a: Score, b: Score) => number,
): SourceInstanceRef[] {
  return candidates
    .map((candidate) => ({ candidate, score: score(candidate) }))
    .sort((a, b) => compare(b.score, a.score))
    .map(({ candidate }) => candidate);
}

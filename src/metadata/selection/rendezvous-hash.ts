import type { SourceInstanceRef } from '../../gen/model_express/p2p.js';
import { blake2b } from './blake2b.js';
import { byScore, type SelectionTarget, type SourceSelector } from './selector.js';

/**
 * Rendezvous hashing: every target has an order of its own that never changes, and a source that comes or goes moves
 * nobody else. ModelExpress targets compute the same order.
 */
export function rendezvousHashSelector(): SourceSelector {
  return {
    name: 'rendezvous_hash',
    order: (candidates, target) =>
      byScore(
        candidates,
        (candidate) => pairDigest(candidate, target),
        (a, b) => (a < b ? -1 : a > b ? 1 : 0),
      ),
  };
}

/** 64 bits that depend on who the target is and who the candidate is. */
export function pairDigest(candidate: SourceInstanceRef, target: SelectionTarget): bigint {
  const { modelName, workerId, workerRank } = target;
  const key = [modelName, workerId, workerRank, candidate.mxSourceId, candidate.workerId, candidate.workerRank].join('|');
  return blake2b(Buffer.from(key, 'utf8'), 8).readBigUInt64BE(0);
}

/** The digest in [0, 1). */
export function unitHash(candidate: SourceInstanceRef, target: SelectionTarget): number {
  return Number(pairDigest(candidate, target)) / 2 ** 64;
}

/** From an identity to the workers that could serve it, in the order in which they are tried. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../../../errors.js';
import { SourceStatus, type SourceIdentity, type SourceInstanceRef } from '../../../gen/model_express/p2p.js';
import { mxSourceId } from '../../../identity/index.js';
import type { MetadataClient } from '../../../metadata/client.js';
import { acceleratorsCompatible, type SourceSelector } from '../../../metadata/selection/index.js';

export interface CandidateOptions {
  readonly client: MetadataClient;
  readonly identity: SourceIdentity;
  readonly rank: number;
  /** Own worker id, which selectors may hash. A worker of this id is no candidate: it is this process, or its predecessor. */
  readonly workerId: string;
  /** Own accelerator; `''` takes weights from any. */
  readonly accelerator: string;
  readonly selector: SourceSelector;
  /** Wait so long for a source to appear. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Between two looks while waiting for a source, ms. */
const pollMs = 250;

/**
 * READY workers of this identity and rank whose accelerator is compatible, best first; at least one.
 * @throws ERR_NO_SOURCE (with what is there instead), ERR_RANK_NOT_FOUND, and the client's errors at once: an outage is
 * never "no source". ERR_INVALID_ARGUMENT when the selector fails.
 */
export async function findCandidates(options: CandidateOptions): Promise<readonly SourceInstanceRef[]> {
  const { client, identity, signal } = options;
  const deadline = performance.now() + options.waitMs;
  for (;;) {
    throwIfAborted(signal, 'discover');
    const ready = await client.listSources({ identity, statusFilter: SourceStatus.SOURCE_STATUS_READY }, signal);
    const listed = ready.filter((source) => source.workerId !== options.workerId);
    const compatible = listed.filter((source) => source.workerRank === options.rank && isCompatible(source, options));
    if (compatible.length > 0) return ordered(compatible, options);
    if (performance.now() >= deadline) throw await nothingFound(listed, options);
    await sleep(Math.min(pollMs, Math.max(1, deadline - performance.now())), undefined, { ...(signal && { signal }) }).catch(
      (error: unknown) => {
        throw toWeightcastError(error, { doing: 'waiting for a source' });
      },
    );
  }
}

/** A target that does not say what it runs on (files, host memory) takes bytes as they are. */
function isCompatible(source: SourceInstanceRef, { accelerator, identity }: CandidateOptions): boolean {
  return accelerator === '' || acceleratorsCompatible(accelerator, source.accelerator, identity, 'defer');
}

function ordered(sources: readonly SourceInstanceRef[], options: CandidateOptions): readonly SourceInstanceRef[] {
  const { selector, identity, rank, workerId } = options;
  let order: readonly SourceInstanceRef[];
  try {
    order = selector.order(sources, { modelName: identity.modelName, workerId, workerRank: rank });
  } catch (error) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `the source selector ${selector.name} failed: ${String(error)}`, { cause: error });
  }
  if (order.length === 0) throw new WeightcastError('ERR_NO_SOURCE', `the source selector ${selector.name} chose no source`);
  return order;
}

/** Says what is there instead: the usual reasons are another rank, a source that is not READY, or one differing identity field. */
async function nothingFound(ready: readonly SourceInstanceRef[], options: CandidateOptions): Promise<WeightcastError> {
  const { client, identity, rank, workerId } = options;
  const id = mxSourceId(identity);
  if (ready.length > 0) {
    const ofRank = ready.filter((source) => source.workerRank === rank);
    if (ofRank.length > 0) return otherAccelerators(ofRank, id, options);
    const ranks = [...new Set(ready.map((source) => source.workerRank))].sort((a, b) => a - b).join(', ');
    return new WeightcastError(
      'ERR_RANK_NOT_FOUND',
      `${identity.modelName} (source ${id}) has READY sources of rank ${ranks} at ${client.server}, but none of rank ${String(rank)}; start a seed of that rank or ask for another`,
      { peer: client.server },
    );
  }
  const ours = await client.listSources({ identity }, options.signal);
  const sameModel = await client.listSources({ modelNameFilter: identity.modelName }, options.signal);
  const others = new Set(sameModel.map((source) => source.mxSourceId).filter((other) => other !== id));
  const own = ours.filter((source) => source.workerId === workerId).length;
  const hint =
    ours.length > 0 && ours.length === own
      ? `worker ${workerId} is this one itself; start another`
      : ours.length > 0
        ? `${String(ours.length - own)} source(s) of it are registered but not READY (starting, STALE or silent)`
        : others.size > 0
          ? `the server knows this model under other identities (source ${[...others].join(', ')}): compare framework, parallel sizes, dtype, quantization and revision`
          : 'the server knows no source of this model: start one with "weightcast seed"';
  const waited = options.waitMs > 0 ? ` after waiting ${String(options.waitMs)} ms` : '';
  return new WeightcastError(
    'ERR_NO_SOURCE',
    `no READY source of ${identity.modelName} (source ${id}) at ${client.server}${waited}; ${hint}`,
    { peer: client.server },
  );
}

function otherAccelerators(ofRank: readonly SourceInstanceRef[], id: string, options: CandidateOptions): WeightcastError {
  const { client, identity, rank, accelerator } = options;
  const theirs = [...new Set(ofRank.map((source) => source.accelerator))].sort().join(', ');
  return new WeightcastError(
    'ERR_NO_SOURCE',
    `${identity.modelName} (source ${id}) has READY sources of rank ${String(rank)} at ${client.server} on ${theirs}, and weights of dtype "${identity.dtype}" and quantization "${identity.quantization}" are not taken from there to ${accelerator}; start a seed on ${accelerator}`,
    { peer: client.server },
  );
}

/** From an identity to one worker that serves it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeightcastError, throwIfAborted, toWeightcastError } from '../errors.js';
import { SourceStatus, type SourceIdentity, type SourceInstanceRef, type WorkerMetadata } from '../gen/model_express/p2p.js';
import { mxSourceId } from '../identity/index.js';
import type { MetadataClient } from '../metadata/client.js';

export interface Discovered {
  readonly sourceId: string;
  readonly workerId: string;
  readonly worker: WorkerMetadata;
}

export interface DiscoverOptions {
  readonly client: MetadataClient;
  readonly identity: SourceIdentity;
  readonly rank: number;
  /** Wait so long for a source to appear. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Between two looks while waiting for a source, ms. */
const POLL_MS = 250;

/**
 * The metadata of one READY worker of this identity and rank, chosen at random so that many targets spread over many seeds.
 * @throws ERR_NO_SOURCE (with what is there instead), ERR_RANK_NOT_FOUND, ERR_SOURCE_GONE (listed, but its record is
 * not there or has no data-plane address), and the client's errors at once: an outage is never "no source".
 */
export async function discover(options: DiscoverOptions): Promise<Discovered> {
  const deadline = performance.now() + options.waitMs;
  for (;;) {
    throwIfAborted(options.signal, 'discover');
    const listed = await options.client.listSources(
      { identity: options.identity, statusFilter: SourceStatus.SOURCE_STATUS_READY },
      options.signal,
    );
    const ofRank = listed.filter((source) => source.workerRank === options.rank);
    if (ofRank.length > 0) return await pick(ofRank, options);
    if (performance.now() >= deadline) throw await nothingFound(listed, options);
    await sleep(Math.min(POLL_MS, Math.max(1, deadline - performance.now())), undefined, {
      ...(options.signal && { signal: options.signal }),
    }).catch((error: unknown) => {
      throw toWeightcastError(error, { doing: 'waiting for a source' });
    });
  }
}

async function pick(sources: readonly SourceInstanceRef[], options: DiscoverOptions): Promise<Discovered> {
  const reasons: string[] = [];
  for (const source of shuffled(sources)) {
    const found = await options.client.getMetadata(source.mxSourceId, source.workerId, options.signal);
    if (found?.worker.backendMetadata?.$case === 'transferEngineSessionId' && found.worker.backendMetadata.value !== '') {
      return { sourceId: source.mxSourceId, workerId: source.workerId, worker: found.worker };
    }
    const what = found?.worker.backendMetadata?.$case ?? 'no backend';
    reasons.push(
      found === undefined
        ? `${source.workerId} has no record any more`
        : `${source.workerId} publishes ${what}, not a transfer engine session`,
    );
  }
  throw new WeightcastError('ERR_SOURCE_GONE', `no listed source of ${options.identity.modelName} can be read: ${reasons.join('; ')}`, {
    peer: options.client.server,
  });
}

function shuffled<T>(items: readonly T[]): T[] {
  const copy = [...items];
  for (let last = copy.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [copy[last], copy[other]] = [copy[other] as T, copy[last] as T];
  }
  return copy;
}

/** Says what is there instead: the usual reasons are another rank, a source that is not READY, or one differing identity field. */
async function nothingFound(ready: readonly SourceInstanceRef[], options: DiscoverOptions): Promise<WeightcastError> {
  const { client, identity, rank } = options;
  const id = mxSourceId(identity);
  if (ready.length > 0) {
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
  const hint =
    ours.length > 0
      ? `${String(ours.length)} source(s) of it are registered but not READY (starting, STALE or silent)`
      : others.size > 0
        ? `the server knows this model under other identities (source ${[...others].join(', ')}): compare framework, parallel sizes, dtype, quantization and revision`
        : 'the server knows no source of this model: start one with "weightcast seed"';
  const waited = options.waitMs > 0 ? ` after waiting ${String(options.waitMs)} ms` : '';
  return new WeightcastError(
    'ERR_NO_SOURCE',
    `no READY source of ${identity.modelName} (source ${id}) at ${client.server}${waited}; ${hint}`,
    {
      peer: client.server,
    },
  );
}

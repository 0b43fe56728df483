/** What a worker's services serve, and which callers they refuse. */
import type { TensorDescriptor } from '../../gen/model_express/p2p.js';
import type { Logger } from '../../observe/logger.js';
import type { ModelManifest } from './model-manifest.js';

/** What a worker serves. */
export interface WorkerSource {
  readonly workerId: string;
  readonly workerRank: number;
  /** `cuda`, `xpu`, …; empty: not said. */
  readonly accelerator: string;
  /** `host:port` of a NIXL listener, for workers that have one. */
  readonly metadataEndpoint?: string;
  /** Name of the NIXL agent there. */
  readonly agentName?: string;
  /** Never changes: its encoding is kept after the first request. */
  readonly tensors: readonly TensorDescriptor[];
  manifest(): Promise<ModelManifest>;
  /** A small file of the model; `undefined` when there is none of that name. Only exact names of the manifest should open. */
  openFile(name: string): Promise<AsyncIterable<Buffer>> | undefined;
}

/** The source as its services see it; the id is only known after publication, `undefined` before. */
export interface ServedSource {
  readonly worker: WorkerSource;
  readonly sourceId: () => string | undefined;
  readonly logger: Logger;
}

/** The first id that is given and not our own, as a message; peers show it to people. */
export function mismatch(
  { worker, sourceId }: ServedSource,
  asked: { sourceId: string; workerId: string | undefined },
): string | undefined {
  const own = sourceId();
  // ModelExpress' workers are Python: an id that is not known yet reads None.
  if (asked.sourceId !== '' && asked.sourceId !== own) return `mx_source_id mismatch: expected ${own ?? 'None'}, got ${asked.sourceId}`;
  if (asked.workerId !== undefined && asked.workerId !== worker.workerId) {
    return `worker_id mismatch: expected ${worker.workerId}, got ${asked.workerId}`;
  }
  return undefined;
}

/** The same as the page, for scripts. Times are unix milliseconds, sizes bytes. */
import type { PayloadSize } from './payload-sizes.js';
import type { SourcesView, WorkerView } from './sources-view.js';
import type { TransferView } from './transfers-view.js';

export function sourcesJson(view: SourcesView, sizeOf: (worker: WorkerView) => PayloadSize | undefined): object {
  const { at, totals, matching, sources } = view;
  return {
    at,
    totals,
    matchingSources: matching,
    sources: sources.map(({ id, facts, counts, workers }) => ({
      sourceId: id,
      ...facts,
      counts,
      workers: workers.map((worker) => workerJson(worker, sizeOf(worker))),
    })),
  };
}

function workerJson({ listing, updatedAt, freshness }: WorkerView, size: PayloadSize | undefined): object {
  const { workerId, workerRank, accelerator, topology, sourceLoad } = listing;
  return { workerId, rank: workerRank, ...freshness, updatedAt, accelerator, topology, sourceLoad, holds: size };
}

export function transfersJson(at: number, transfers: readonly TransferView[]): object {
  return {
    at,
    transfers: transfers.map(({ transfer, state, bytes, totalBytes, bytesPerSecond, elapsedMs }) => ({
      transferId: transfer.transferId,
      state,
      phase: transfer.phase,
      transport: transfer.transport,
      modelName: transfer.modelName,
      sourceId: transfer.mxSourceId,
      workerId: transfer.workerId,
      rank: transfer.workerRank,
      target: transfer.target,
      bytes,
      totalBytes,
      bytesPerSecond,
      elapsedMs,
      error: transfer.error,
      startedAt: transfer.startedAt,
      updatedAt: transfer.updatedAt,
    })),
  };
}

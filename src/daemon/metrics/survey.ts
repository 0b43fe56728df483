/** What a scrape asks for: the store's workers by status, and what targets told. */
import { SourceStatus } from '../../gen/model_express/p2p.js';
import { TransferState } from '../../gen/weightcast/transfers.js';
import type { MetadataStore } from '../../metadata/stores/store.js';
import type { TransferLog } from '../../metadata/transfers/transfer-log.js';
import type { Readiness } from '../readiness.js';
import type { Survey } from './server-metrics.js';

/** A listing of a large shared store costs; scrapers that come faster share one. Milliseconds. */
const freshMs = 5000;
/** A scrape must not hang with the store. Milliseconds. */
const patienceMs = 2000;

const statusNames: Readonly<Record<number, string>> = {
  [SourceStatus.SOURCE_STATUS_INITIALIZING]: 'initializing',
  [SourceStatus.SOURCE_STATUS_READY]: 'ready',
  [SourceStatus.SOURCE_STATUS_STALE]: 'stale',
};

const stateNames: Readonly<Record<number, string>> = {
  [TransferState.TRANSFER_STATE_RUNNING]: 'running',
  [TransferState.TRANSFER_STATE_DONE]: 'done',
  [TransferState.TRANSFER_STATE_FAILED]: 'failed',
};

/** @returns what `ServerMetrics.onScrape` takes; never rejects. */
export function surveyor(store: MetadataStore, transfers: TransferLog, readiness: Readiness): () => Promise<Survey> {
  let last: { readonly at: number; readonly sources: Promise<ReadonlyMap<string, number> | undefined> } | undefined;
  return async () => {
    const { ready, storeUp } = await readiness.check();
    if (storeUp && (last === undefined || performance.now() - last.at > freshMs)) {
      last = { at: performance.now(), sources: countSources(store) };
    }
    const sources = storeUp ? await last?.sources : undefined;
    return { ready, storeUp, ...(sources !== undefined && { sources }), transfers: countTransfers(transfers) };
  };
}

async function countSources(store: MetadataStore): Promise<ReadonlyMap<string, number> | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((done) => {
    timer = setTimeout(done, patienceMs, undefined);
  });
  const counted = store.list().then(
    (workers) => {
      const counts = zeros([...Object.values(statusNames), 'unknown']);
      for (const { status } of workers) count(counts, statusNames[status] ?? 'unknown');
      return counts;
    },
    () => undefined,
  );
  const result = await Promise.race([counted, late]);
  clearTimeout(timer);
  return result;
}

function countTransfers(transfers: TransferLog): ReadonlyMap<string, number> {
  const counts = zeros([...Object.values(stateNames), 'lost']);
  for (const { state, lost } of transfers.list()) count(counts, lost ? 'lost' : (stateNames[state] ?? 'lost'));
  return counts;
}

/** So that a series is there before its first event. */
function zeros(names: readonly string[]): Map<string, number> {
  return new Map(names.map((name) => [name, 0]));
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Which calls are measured, over what. */
import { SourceStatus } from '../../gen/model_express/p2p.js';
import type { Calls, WorkerSet } from '../load/job.js';
import type { MetadataBenchOptions } from './options.js';
import type { CallsRow } from './report.js';

/** How often workers send heartbeats where nobody said otherwise: ours, and ModelExpress'. */
const heartbeatIntervalSeconds = 30;

/** One target, and several that start together: with one, every reply begins and ends with a server that waits. */
const getConnections = [1, 4];

export interface Step {
  readonly name: CallsRow['name'];
  readonly connections: number;
  readonly calls: Calls;
  /** Workers that are to get a heartbeat right before: only then are they listed as READY. */
  readonly refresh?: WorkerSet;
  /** Of the workers that are listed, while they are. */
  readonly heartbeatsPerSecond?: number;
}

export interface Plan {
  /** Published before anything is measured. */
  readonly published: readonly WorkerSet[];
  readonly steps: readonly Step[];
}

/** Whoever finds it at a server shall know what it is. @param run tells runs of this benchmark apart. */
export function modelName(what: string, run: string): string {
  return `weightcast-bench/${what}-${run}`;
}

export function planOf(options: MetadataBenchOptions, run: string): Plan {
  const { only, connections } = options;
  const set = (what: string, count: number, tensors: number): WorkerSet => ({
    modelName: modelName(what, run),
    prefix: what,
    count,
    tensors,
  });
  const calling = set('calling', Math.max(...connections), options.publishTensors);
  // Listing does not look at tensors.
  const listed = set('listed', options.workers, 1);
  const got = set('got', 1, options.tensors);
  const steps: Step[] = [];
  for (const count of connections) {
    const workers = { ...calling, count };
    if (only.includes('publish')) steps.push({ name: 'publish', connections: count, calls: { method: 'publish', workers } });
  }
  for (const count of connections) {
    const workers = { ...calling, count };
    const calls: Calls = { method: 'heartbeat', workers, status: SourceStatus.SOURCE_STATUS_READY };
    if (only.includes('heartbeat')) steps.push({ name: 'heartbeat', connections: count, calls });
  }
  if (only.includes('list')) {
    const list = { name: 'list', connections: 1, calls: { method: 'list', workers: listed }, refresh: listed } as const;
    steps.push(list, { ...list, heartbeatsPerSecond: options.workers / heartbeatIntervalSeconds });
  }
  for (const count of getConnections) {
    if (only.includes('get')) steps.push({ name: 'get', connections: count, calls: { method: 'get', workers: got } });
  }
  const needed = [calling, listed, got].filter(({ prefix }) => steps.some(({ calls }) => calls.workers.prefix === prefix));
  return { published: needed, steps };
}

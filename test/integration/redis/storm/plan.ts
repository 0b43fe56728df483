/** What the storm's publishers publish, so that readers know what must be there. */
import { completeIdentity, type SourceIdentity } from '#src/identity/index.js';
import { tensors } from '../../../support/p2p-messages.js';

export const publisherCount = 20;
export const readerCount = 200;

/** Workers of one publisher, each published again and again. */
export const workersEach = 25;

/** Each publisher has a source of its own. */
export function identityOf(publisher: number): SourceIdentity {
  return completeIdentity({ modelName: `Storm/${String(publisher)}` });
}

export function workerIdOf(publisher: number, worker: number): string {
  return `publisher-${String(publisher)}-worker-${String(worker)}`;
}

/** A list that tells which version it belongs to. */
export function tensorsOf(version: number): ReturnType<typeof tensors> {
  return tensors(10 + (version % 10));
}

/** What a thread is started with. */
export interface LoadOptions {
  readonly role: 'publishers' | 'readers';
  readonly servers: readonly string[];
}

/** What a thread tells, once at the end. */
export interface LoadReport {
  readonly calls: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly longestOutageMs: number;
  /** What must not have happened, in words. */
  readonly wrong: readonly string[];
  /** Of publishers: source id and newest acknowledged version by worker id. */
  readonly acknowledged: readonly (readonly [workerId: string, sourceId: string, version: number])[];
  readonly publications: number;
  readonly heartbeats: number;
}

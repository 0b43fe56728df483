/** One chosen worker: its record, its manifest, and a lease on its tensors while they are read. */
import { WeightcastError } from '../../../errors.js';
import type { SourceIdentity, TensorDescriptor, WorkerMetadata } from '../../../gen/model_express/p2p.js';
import { parseAddress } from '../../../handshake/index.js';
import type { MetadataClient } from '../../../metadata/client.js';
import { acceleratorsCompatible } from '../../../metadata/selection/index.js';
import { WorkerClient, type TensorRead } from '../../../metadata/worker/client.js';
import type { ClientSecurity } from '../../../security/tls-files.js';
import { makeCatalog, sameTensors } from '../../catalog.js';
import type { Scope } from '../../scope.js';
import type { Candidate, Source, Unreadable } from '../discovery.js';

/** A host that is gone answers nothing at all: the next source should not have to wait for gRPC's 20 s. Peers wait 5 s. */
const workerTimeoutMs = 10_000;

export interface WorkerOptions {
  readonly client: MetadataClient;
  readonly identity: SourceIdentity;
  readonly accelerator: string;
  readonly security: ClientSecurity | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Asks the server for the worker's record, and the worker, where it has an endpoint, for a lease and its tensors.
 * @throws ERR_SOURCE_GONE, ERR_NO_SOURCE (its accelerator is not compatible), ERR_PROTOCOL, ERR_STALLED, ERR_ABORTED, …
 */
export async function openWorker(candidate: Candidate, options: WorkerOptions, scope: Scope): Promise<Source | Unreadable> {
  const { client, signal } = options;
  const { sourceId, workerId } = candidate;
  const found = await client.getMetadata(sourceId, workerId, signal);
  if (found === undefined) throw gone(`${workerId} has no record any more`, client.server);
  const { worker } = found;
  const peer = sessionOf(worker);
  if (peer === '') return { unreadable: `publishes ${worker.backendMetadata?.$case ?? 'no backend'}, not a transfer engine session` };
  published('a session', () => parseAddress(peer));
  checkAccelerator(worker, options);

  const central = centralTensors(worker);
  const endpoint = openEndpoint(worker, options.security, scope);
  if (central.length === 0 && endpoint === undefined) throw gone(`${workerId} publishes no tensors, and no endpoint that has them`, peer);
  // Also where the record has the tensors: a seed that ends waits for those who hold a lease.
  const lease = await takeLease(endpoint, sourceId, workerId, scope, signal);
  const manifest = await endpoint?.modelManifest(sourceId, workerId, signal);
  const tensors =
    lease?.manifest.tensors ??
    (central.length > 0 || endpoint === undefined ? central : (await endpoint.tensorManifest(sourceId, workerId, signal)).tensors);
  return {
    sourceId,
    workerId,
    rank: worker.workerRank,
    peer,
    catalog: makeCatalog(peer, tensors, manifest),
    accelerator: worker.accelerator,
    fetchFile: manifest === undefined || endpoint === undefined ? undefined : (name) => endpoint.modelFile(name, signal),
    lease,
    notes: manifest === undefined ? ['the seed publishes no shapes, checksums or files beside its weights'] : [],
    unchanged: (during) => isUnchanged(candidate, worker, client, during),
  };
}

/** What cannot be asked has not changed: a server that is down, or has let go of a worker that ended, says nothing of what was read. */
async function isUnchanged(
  { sourceId, workerId }: Candidate,
  before: WorkerMetadata,
  client: MetadataClient,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = await client.getMetadata(sourceId, workerId, signal).catch(() => undefined);
  if (found === undefined) return true;
  return sessionOf(found.worker) === sessionOf(before) && sameTensors(centralTensors(found.worker), centralTensors(before));
}

function sessionOf({ backendMetadata }: WorkerMetadata): string {
  return backendMetadata?.$case === 'transferEngineSessionId' ? backendMetadata.value : '';
}

/** What the server holds of the tensors; nothing of a worker that serves them itself. */
function centralTensors(worker: WorkerMetadata): readonly TensorDescriptor[] {
  const { sourcePayload } = worker;
  return sourcePayload?.$case === 'tensorSource' ? sourcePayload.value.tensors : worker.tensors;
}

/** The listing may lack the accelerator; the record is the last word on it. */
function checkAccelerator(worker: WorkerMetadata, { accelerator, identity }: WorkerOptions): void {
  if (accelerator === '' || acceleratorsCompatible(accelerator, worker.accelerator, identity, 'refuse')) return;
  const theirs = worker.accelerator === '' ? 'an accelerator that it does not name' : worker.accelerator;
  throw new WeightcastError(
    'ERR_NO_SOURCE',
    `its weights are on ${theirs}; those of dtype "${identity.dtype}" and quantization "${identity.quantization}" are not taken from there to ${accelerator}`,
  );
}

function openEndpoint(worker: WorkerMetadata, security: ClientSecurity | undefined, scope: Scope): WorkerClient | undefined {
  const { workerGrpcEndpoint: address } = worker;
  if (address === '') return undefined;
  const client = published('an endpoint', () => new WorkerClient(address, { security, timeoutMs: workerTimeoutMs }));
  scope.add(() => {
    client.close();
  });
  return client;
}

/** What is no address is the source's mistake, not an argument of the caller's. */
function published<T>(what: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof WeightcastError && error.code === 'ERR_INVALID_ARGUMENT')) throw error;
    throw new WeightcastError('ERR_PROTOCOL', `the source publishes ${what} that is no address: ${error.message}`, { cause: error });
  }
}

async function takeLease(
  endpoint: WorkerClient | undefined,
  sourceId: string,
  workerId: string,
  scope: Scope,
  signal: AbortSignal | undefined,
): Promise<TensorRead | undefined> {
  const lease = await endpoint?.prepareTensorRead(sourceId, workerId, signal);
  if (lease !== undefined) scope.add(() => lease.release().then(() => undefined));
  return lease;
}

function gone(what: string, peer: string): WeightcastError {
  return new WeightcastError('ERR_SOURCE_GONE', what, { peer });
}

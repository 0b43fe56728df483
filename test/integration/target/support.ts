/** Sources that fail in chosen ways, and an order in which they are tried. */
import type { TestContext } from 'node:test';
import { SourceStatus, WorkerMetadata, type SourceInstanceRef } from '#src/gen/model_express/p2p.js';
import { MetadataClient } from '#src/metadata/client.js';
import { seedTensors, type Seed, type SeedTensor } from '#src/seed/index.js';
import type { RegistryPullOptions, SourceSelector } from '#src/target/index.js';
import { unusedPort } from '../metadata/support.js';

let models = 0;

/** What seed and target share; every call names another model, so that a test finds no source but its own. */
export function shared(server: string): { identity: { modelName: string }; server: string; host: string; transport: 'tcp' } {
  return { identity: { modelName: `org/target-${String(models++)}` }, server, host: '127.0.0.1', transport: 'tcp' };
}

/** Tries these workers, in this order. */
export function inOrder(...workerIds: string[]): SourceSelector {
  const byId = (candidates: readonly SourceInstanceRef[]): Map<string, SourceInstanceRef> =>
    new Map(candidates.map((candidate) => [candidate.workerId, candidate]));
  return {
    name: 'in order',
    order: (candidates) => workerIds.flatMap((id) => byId(candidates).get(id) ?? []),
  };
}

/** Publishes a worker and makes it READY, without a process behind it. */
export async function publish(
  options: Pick<RegistryPullOptions, 'identity' | 'server'>,
  workerId: string,
  worker: Partial<WorkerMetadata>,
): Promise<void> {
  await using client = new MetadataClient(options.server);
  const mxSourceId = await client.publish({ identity: options.identity, worker: { ...WorkerMetadata.create(), ...worker }, workerId });
  const { workerRank = 0 } = worker;
  await client.updateStatus({ mxSourceId, workerId, workerRank, status: SourceStatus.SOURCE_STATUS_READY });
}

/** A record as a seed leaves it whose process is gone: nobody listens where it points to. */
export async function publishGone(options: Pick<RegistryPullOptions, 'identity' | 'server'>, workerId: string): Promise<void> {
  await publish(options, workerId, {
    backendMetadata: { $case: 'transferEngineSessionId', value: `127.0.0.1:${String(await unusedPort())}` },
    workerGrpcEndpoint: `127.0.0.1:${String(await unusedPort())}`,
    sourcePayload: {
      $case: 'tensorSource',
      value: { tensors: [{ name: 'tensor.0', addr: 4096n, size: 16n, deviceId: 0, dtype: 'U8' }] },
    },
  });
}

/** A seed of this process, closed with the test. */
export async function serveTensors(
  test: TestContext,
  options: ReturnType<typeof shared>,
  workerId: string,
  tensors: readonly SeedTensor[],
): Promise<Seed> {
  const seed = await seedTensors([...tensors], { ...options, workerId });
  test.after(() => seed.close());
  return seed;
}

/** The record of a live seed, as the server has it. */
export async function recordOf(server: string, seed: Seed): Promise<WorkerMetadata> {
  await using client = new MetadataClient(server);
  const found = await client.getMetadata(seed.summary.sourceId, seed.summary.workerId);
  if (found === undefined) throw new Error(`${seed.summary.workerId} is not at ${server}`);
  return found.worker;
}

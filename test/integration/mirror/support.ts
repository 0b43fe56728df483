/** Mirrors as processes, and what a server knows of workers. */
import assert from 'node:assert/strict';
import type { WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { MetadataClient, SourceStatus, type MirrorSummary } from '#src/index.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import type { ModelManifest } from '#src/metadata/worker/model-manifest.js';
import { Role, type Printed } from '../../support/roles.js';

/** What all processes of these tests get. */
export const tcp = ['--transport', 'tcp', '--host', '127.0.0.1'];

/** `weightcast mirror`, up and READY. */
export async function mirrorProcess(args: readonly string[]): Promise<{ role: Role; ready: Printed & MirrorSummary }> {
  const role = new Role(['mirror', ...args]);
  const ready = await role.next();
  assert.equal(ready['event'], 'ready', JSON.stringify(ready));
  return { role, ready: ready as Printed & MirrorSummary };
}

/** Worker ids of a model that are READY. */
export async function readyWorkers(server: string, modelName: string): Promise<readonly string[]> {
  await using client = new MetadataClient(server);
  const listed = await client.listSources({ modelNameFilter: modelName, statusFilter: SourceStatus.SOURCE_STATUS_READY });
  return listed.map((source) => source.workerId).sort();
}

/** Worker ids of a model that the server has ever heard of. */
export async function knownWorkers(server: string, modelName: string): Promise<readonly string[]> {
  await using client = new MetadataClient(server);
  return (await client.listSources({ modelNameFilter: modelName })).map((source) => source.workerId).sort();
}

interface Offer {
  readonly sourceId: string;
  readonly workerId: string;
}

/** Everything that readers can learn of a worker's weights, without what must be its own: addresses, endpoints, times. */
export async function whatReadersSee(
  server: string,
  { sourceId, workerId }: Offer,
): Promise<{ record: Partial<WorkerMetadata>; manifest: ModelManifest; files: Map<string, string> }> {
  await using client = new MetadataClient(server);
  const found = await client.getMetadata(sourceId, workerId);
  assert.ok(found);
  const { worker: record } = found;
  assert.equal(record.sourcePayload?.$case, 'tensorSource');
  const { tensors } = record.sourcePayload.value;
  const bare = tensors.map((tensor) => ({ ...tensor, addr: 0n }));
  const worker = new WorkerClient(record.workerGrpcEndpoint);
  try {
    const manifest = await worker.modelManifest(sourceId, workerId);
    assert.ok(manifest);
    const files = new Map<string, string>();
    for (const { name } of manifest.modelFiles) {
      const chunks: Buffer[] = [];
      for await (const chunk of worker.modelFile(name)) chunks.push(chunk);
      files.set(name, Buffer.concat(chunks).toString('base64'));
    }
    const { workerRank, status, accelerator } = record;
    const sourcePayload = { $case: 'tensorSource', value: { tensors: bare } } as const;
    return { record: { workerRank, status, accelerator, tensors: bare, sourcePayload }, manifest, files };
  } finally {
    worker.close();
  }
}

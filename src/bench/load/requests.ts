/** Requests of benchmarks, encoded. What all workers of a set share is encoded once, so that a generator has little to do. */
import {
  ListSourcesRequest,
  GetMetadataRequest,
  type SourceIdentity,
  SourceIdentity as Identity,
  SourceStatus,
  type TensorDescriptor,
  UpdateStatusRequest,
  WorkerMetadata,
} from '../../gen/model_express/p2p.js';
import { completeIdentity, mxSourceId } from '../../identity/index.js';
import { field } from '../../metadata/wire/fields.js';
import { encodeWorker } from '../../metadata/wire/worker-codec.js';
import type { WorkerSet } from './job.js';

export function identityOf({ modelName }: WorkerSet): SourceIdentity {
  return completeIdentity({ modelName, tensorParallelSize: 8, pipelineParallelSize: 1, dtype: 'bfloat16' });
}

export function workerId({ prefix }: WorkerSet, index: number): string {
  return `${prefix}-${String(index)}`;
}

/** Names as long as those of large mixture-of-experts models. Addresses are nowhere: nothing reads them. */
export function tensorsOf(count: number): TensorDescriptor[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `model.layers.${String(Math.floor(index / 768))}.mlp.experts.${String(Math.floor(index / 3) % 256)}.${projections[index % 3] ?? ''}.weight`,
    addr: 0x7f00_0000_0000n + BigInt(index) * 0x0100_0000n,
    size: 0x0100_0000n,
    deviceId: 0,
    dtype: 'bfloat16',
  }));
}

const projections = ['gate_proj', 'up_proj', 'down_proj'];

/** A function from a worker's number to its PublishMetadataRequest. Its list stands in both fields, as publishers have it. */
export async function publishRequests(workers: WorkerSet, now: number): Promise<(index: number) => Buffer> {
  const tensors = tensorsOf(workers.tensors);
  const worker = await encodeWorker({
    ...WorkerMetadata.create(),
    backendMetadata: { $case: 'transferEngineSessionId', value: '192.0.2.1:12345' },
    tensors,
    sourcePayload: { $case: 'tensorSource', value: { tensors } },
    status: SourceStatus.SOURCE_STATUS_READY,
    updatedAt: BigInt(now),
    workerGrpcEndpoint: '192.0.2.1:6555',
    accelerator: 'cuda',
  });
  const identity = Buffer.from(Identity.encode(identityOf(workers)).finish());
  const shared = Buffer.concat([...field(1, [identity]), ...field(2, worker)]);
  return (index) => Buffer.concat([shared, ...field(3, [Buffer.from(workerId(workers, index))])]);
}

/** A function from a worker's number to its UpdateStatusRequest. */
export function heartbeatRequests(workers: WorkerSet, status: SourceStatus): (index: number) => Buffer {
  const mxSourceIdOfAll = mxSourceId(identityOf(workers));
  return (index) =>
    Buffer.from(
      UpdateStatusRequest.encode({ mxSourceId: mxSourceIdOfAll, workerId: workerId(workers, index), workerRank: 0, status }).finish(),
    );
}

export function listRequest(workers: WorkerSet): Buffer {
  const request = { identity: identityOf(workers), statusFilter: SourceStatus.SOURCE_STATUS_READY };
  return Buffer.from(ListSourcesRequest.encode({ ...ListSourcesRequest.create(), ...request }).finish());
}

export function getRequest(workers: WorkerSet): Buffer {
  return Buffer.from(GetMetadataRequest.encode({ mxSourceId: mxSourceId(identityOf(workers)), workerId: workerId(workers, 0) }).finish());
}

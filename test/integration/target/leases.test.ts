/** Workers that serve their tensors themselves: with a lease while they are read, or without where they know none. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Server, ServerCredentials, status, type handleUnaryCall, type UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  GetTensorManifestResponse,
  WorkerServiceService,
  type GetTensorManifestRequest,
  type PrepareTensorReadRequest,
  type PrepareTensorReadResponse,
  type ReleaseTensorReadRequest,
  type ReleaseTensorReadResponse,
} from '#src/gen/model_express/p2p.js';
import type { Seed } from '#src/seed/index.js';
import { pull } from '#src/target/index.js';
import { byteTensors, startServer } from '../../support/cluster.js';
import { inOrder, publish, publishGone, recordOf, serveTensors, shared } from './support.js';

const server = await startServer();
const sizes = [1, 70_000, 2_000_000];

interface WorkerOptions {
  /** False: as ModelExpress' workers before 0.7. */
  readonly leases?: boolean;
  /** Leases that are forgotten before they are released. */
  readonly expire?: boolean;
  /** Who it says it is. */
  readonly workerId?: string;
}

/** A ModelExpress worker in front of a seed's memory: WorkerService and nothing of ours. */
class ForeignWorker {
  manifests = 0;
  prepared: string[] = [];
  released: string[] = [];

  static async start(context: TestContext, seed: Seed, options: WorkerOptions): Promise<{ worker: ForeignWorker; endpoint: string }> {
    const worker = new ForeignWorker();
    const { sourcePayload } = await recordOf(server.address, seed);
    const tensors = sourcePayload?.$case === 'tensorSource' ? sourcePayload.value.tensors : [];
    const { sourceId: mxSourceId } = seed.summary;
    const { workerId = 'worker' } = options;
    const manifest = { ...GetTensorManifestResponse.create(), tensors, mxSourceId, workerId };
    const grpc = new Server();
    grpc.addService(WorkerServiceService, worker.handlers(manifest, options));
    const port = await new Promise<number>((done, failed) => {
      grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) done(bound);
        else failed(error);
      });
    });
    context.after(() => {
      grpc.forceShutdown();
    });
    return { worker, endpoint: `127.0.0.1:${String(port)}` };
  }

  private handlers(manifest: GetTensorManifestResponse, { leases = true, expire = false }: WorkerOptions): UntypedServiceImplementation {
    const getTensorManifest: handleUnaryCall<GetTensorManifestRequest, GetTensorManifestResponse> = (_call, answer) => {
      this.manifests += 1;
      answer(null, manifest);
    };
    const prepareTensorRead: handleUnaryCall<PrepareTensorReadRequest, PrepareTensorReadResponse> = (_call, answer) => {
      const leaseId = `lease-${String(this.prepared.length)}`;
      this.prepared.push(leaseId);
      answer(null, { leaseId, manifest });
    };
    const releaseTensorRead: handleUnaryCall<ReleaseTensorReadRequest, ReleaseTensorReadResponse> = ({ request }, answer) => {
      if (expire || !this.prepared.includes(request.leaseId) || this.released.includes(request.leaseId)) {
        answer({ code: status.NOT_FOUND, details: `tensor read lease not found or expired: ${request.leaseId}` });
        return;
      }
      this.released.push(request.leaseId);
      answer(null, {});
    };
    return { getTensorManifest, ...(leases && { prepareTensorRead, releaseTensorRead }) };
  }
}

/** A seed whose record holds no tensors, only the endpoint of a foreign worker that has them. */
async function workerServed(
  context: TestContext,
  options: ReturnType<typeof shared>,
  workerOptions: WorkerOptions = {},
): Promise<ForeignWorker> {
  const seed = await serveTensors(context, options, 'behind', byteTensors(sizes));
  const record = await recordOf(server.address, seed);
  const { worker, endpoint } = await ForeignWorker.start(context, seed, workerOptions);
  await publish(options, 'worker', { ...record, tensors: [], sourcePayload: undefined, workerGrpcEndpoint: endpoint });
  return worker;
}

test('a lease is held while the tensors are read, and released once', async (context) => {
  const options = shared(server.address);
  const worker = await workerServed(context, options);
  const held: number[] = [];
  const running = pull({ ...options, into: { kind: 'memory' }, selector: inOrder('worker') });
  for await (const { phase } of running) if (phase === 'wire') held.push(worker.prepared.length - worker.released.length);
  const result = await running;
  assert.ok(held.length > 0 && held.every((count) => count === 1), `leases held on the wire: ${held.join(', ')}`);
  assert.deepEqual(worker.released, worker.prepared);
  assert.equal(worker.prepared.length, 1);
  assert.equal(worker.manifests, 0, 'the manifest came with the lease');
  assert.equal(result.output.kind, 'memory');
  using region = result.output.region;
  const expected = byteTensors(sizes);
  for (const [index, placed] of result.output.tensors.entries()) {
    assert.deepEqual(region.view(placed.offset, Number(placed.bytes)), expected[index]?.data);
  }
  assert.match(result.notes.join('\n'), /publishes no shapes, checksums.*\nnothing was verified/);
});

test('a worker that knows no leases is asked for its manifest', async (context) => {
  const options = shared(server.address);
  const worker = await workerServed(context, options, { leases: false });
  const result = await pull({ ...options, into: { kind: 'discard' }, selector: inOrder('worker') });
  assert.equal(result.tensors, sizes.length);
  assert.equal(worker.manifests, 1);
});

test('the lease is released when the read fails, and when it is aborted', async (context) => {
  const options = shared(server.address);
  const worker = await workerServed(context, options);
  const target = { ...options, into: { kind: 'discard' }, selector: inOrder('worker') } as const;
  await assert.rejects(async () => pull({ ...target, expect: [{ name: 'absent' }] }), { code: 'ERR_TENSOR_MISSING' });
  assert.deepEqual(worker.released, ['lease-0']);
  const abort = new AbortController();
  const running = pull({ ...target, signal: abort.signal });
  const watching = (async () => {
    for await (const { phase } of running) if (phase === 'connect') abort.abort();
  })().catch(() => undefined);
  await assert.rejects(async () => running, { code: 'ERR_ABORTED' });
  await watching;
  assert.deepEqual(worker.released, ['lease-0', 'lease-1']);
});

test('a lease of another worker is given back and refused', async (context) => {
  const options = shared(server.address);
  const worker = await workerServed(context, options, { workerId: 'somebody' });
  await assert.rejects(async () => pull({ ...options, into: { kind: 'discard' }, selector: inOrder('worker') }), {
    code: 'ERR_SOURCE_GONE',
    message: /worker somebody answered at .* where worker was asked for/,
  });
  assert.deepEqual(worker.released, worker.prepared);
  assert.equal(worker.prepared.length, 1);
});

test('bytes whose lease ended too early, and that nothing vouches for, are not handed over', async (context) => {
  const options = shared(server.address);
  await workerServed(context, options, { expire: true });
  await assert.rejects(async () => pull({ ...options, into: { kind: 'discard' }, selector: inOrder('worker') }), {
    code: 'ERR_SOURCE_GONE',
    message: /lease .* ended before the read did, and nothing was compared with checksums/,
  });
});

test('a seed of ours whose record holds no tensors serves them itself, checksums and all, after one that is gone', async (context) => {
  const options = shared(server.address);
  const seed = await serveTensors(context, options, 'own', byteTensors(sizes));
  const record = await recordOf(server.address, seed);
  await publishGone(options, 'gone');
  await publish(options, 'own', { ...record, tensors: [], sourcePayload: undefined });
  const result = await pull({ ...options, into: { kind: 'discard' }, selector: inOrder('gone', 'own') });
  assert.equal(result.verified?.tensors, sizes.length);
  assert.equal(result.attempts.length, 1);
});

/** Leases on a worker's tensors, over real gRPC. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { status } from '@grpc/grpc-js';
import { WorkerServiceService as WorkerService } from '#src/gen/model_express/p2p.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { WorkerServer } from '#src/metadata/worker/server.js';
import { call, connectRaw, memoryLogger, tensors } from './support.js';

const list = tensors(3);

async function serve(test: TestContext) {
  const server = await WorkerServer.listen({
    host: '127.0.0.1',
    worker: {
      workerId: 'w1',
      workerRank: 5,
      accelerator: 'cuda',
      tensors: list,
      manifest: () => Promise.reject(new Error('none')),
      openFile: () => undefined,
    },
    logger: memoryLogger(),
  });
  server.setSourceId('s1');
  const client = new WorkerClient(server.endpoint);
  test.after(async () => {
    client.close();
    await server.close();
  });
  const raw = connectRaw(test, server.endpoint);
  const prepare = (mxSourceId = 's1', workerId?: string) => call(raw, WorkerService.prepareTensorRead, { mxSourceId, workerId });
  const release = (leaseId: string, mxSourceId = 's1', workerId?: string) =>
    call(raw, WorkerService.releaseTensorRead, { mxSourceId, workerId, leaseId });
  const manifest = () => call(raw, WorkerService.getTensorManifest, { mxSourceId: 's1', workerId: 'w1' });
  return { server, client, prepare, release, manifest };
}

const draining = { code: status.UNAVAILABLE, details: 'tensor source is draining' };

describe('a lease on tensors', () => {
  it('comes with the manifest and is given back once', async (test) => {
    const { server, prepare, release, manifest } = await serve(test);
    const prepared = await prepare('s1', 'w1');
    assert.match(prepared.leaseId, /^[0-9a-f]{32}$/);
    assert.deepEqual(prepared.manifest, await manifest());
    assert.deepEqual(prepared.manifest.tensors, list);
    assert.equal(server.readers, 1);
    assert.deepEqual(await release(prepared.leaseId), {});
    assert.equal(server.readers, 0);
    const details = `tensor read lease not found or expired: ${prepared.leaseId}`;
    await assert.rejects(release(prepared.leaseId), { code: status.NOT_FOUND, details });
    await assert.rejects(release(''), { code: status.NOT_FOUND, details: 'tensor read lease not found or expired: ' });
  });

  it('is neither given nor taken back under other ids', async (test) => {
    const { server, prepare, release } = await serve(test);
    const { leaseId } = await prepare();
    for (const [source, worker, refusal] of [
      ['', undefined, { code: status.INVALID_ARGUMENT, details: 'mx_source_id is required for tensor reads' }],
      ['s2', 'w1', { code: status.FAILED_PRECONDITION, details: 'mx_source_id mismatch: expected s1, got s2' }],
      ['s1', 'w2', { code: status.FAILED_PRECONDITION, details: 'worker_id mismatch: expected w1, got w2' }],
      ['s1', '', { code: status.FAILED_PRECONDITION, details: 'worker_id mismatch: expected w1, got ' }],
    ] as const) {
      await assert.rejects(prepare(source, worker), refusal);
      await assert.rejects(release(leaseId, source, worker), refusal);
    }
    assert.equal(server.readers, 1);
  });

  it('is refused to a host that holds a thousand, not to its manifest', async (test) => {
    const { server, prepare, release, manifest } = await serve(test);
    const leases = await Promise.all(Array.from({ length: 1000 }, () => prepare()));
    assert.equal(server.readers, 1000);
    await assert.rejects(prepare(), { code: status.RESOURCE_EXHAUSTED, details: /^too many tensor read leases \(1000 are running\)/ });
    assert.equal((await manifest()).tensors.length, 3);
    await release(leases[500]?.leaseId ?? '');
    await prepare();
  });
});

describe('a worker that drains', () => {
  it('waits for its readers, and meanwhile takes no new one', async (test) => {
    const { server, client, prepare, release, manifest } = await serve(test);
    const [first, second] = [await prepare(), await prepare()];
    let left: number | undefined;
    const drained = server.drain(60_000).then((readers) => (left = readers));
    await assert.rejects(manifest(), draining);
    await assert.rejects(prepare(), draining);
    await assert.rejects(client.prepareTensorRead('s1', 'w1'), { code: 'ERR_SOURCE_GONE', grpcMessage: draining.details });
    await assert.rejects(prepare('s2'), { code: status.FAILED_PRECONDITION }, 'ids are looked at first');
    await release(second.leaseId);
    assert.deepEqual([server.readers, left], [1, undefined]);
    await release(first.leaseId);
    await drained;
    assert.equal(left, 0);
    await assert.rejects(manifest(), draining);
  });

  it('says how many still read when it has waited long enough', async (test) => {
    const { server, prepare } = await serve(test);
    await prepare();
    assert.equal(await server.drain(1), 1);
  });
});

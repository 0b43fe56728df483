/** Worker endpoints: ModelExpress' own read by our target, ours read by its client. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MetadataClient, pull, seedTensors, SourceStatus } from '#src/index.js';
import { byteTensors, startServer } from '../../support/cluster.js';
import { Peer, PeerError, whySkip } from './peer.js';

const skip = whySkip();
if (skip !== false) console.log(`skipped: ${skip}`);

interface Tensor {
  readonly name: string;
  readonly addr: string;
  readonly size: string;
  readonly dtype?: string;
}

/** A seed of small tensors, and its record as the server has it. */
async function startSeed(modelName: string) {
  const server = await startServer();
  const tensors = byteTensors([1, 4096, 70_001]);
  const seed = await seedTensors(tensors, { identity: { modelName }, server: server.address, transport: 'tcp', host: '127.0.0.1' });
  const client = new MetadataClient(server.address);
  const published = await client.getMetadata(seed.summary.sourceId, seed.summary.workerId);
  client.close();
  assert.ok(published);
  return { server, seed, tensors, worker: published.worker };
}

describe('worker endpoints', { skip }, () => {
  test('a manifest that only its WorkerGrpcServer serves is enough for our target', async () => {
    const { server, seed, tensors, worker } = await startSeed('test/bytes');
    await using _ = seed;
    const descriptors = worker.tensors.map(({ name, addr, size, dtype }) => ({ name, addr: String(addr), size: String(size), dtype }));
    const peer = Peer.start();
    await peer.call('connect', { server: server.address });
    const port = await peer.call<number>('start_worker', { tensors: descriptors, worker_id: 'feed0001', worker_rank: 2 });
    const id = await peer.call<string>('publish', {
      identity: { modelName: 'test/by-reference' },
      worker: { workerRank: 2, transferEngineSessionId: seed.summary.sessionId, workerGrpcEndpoint: `127.0.0.1:${String(port)}` },
      worker_id: 'feed0001',
    });
    const ready = { mx_source_id: id, worker_id: 'feed0001', worker_rank: 2, status: 'SOURCE_STATUS_READY' };
    assert.equal(await peer.call('update', ready), true);

    const options = {
      identity: { modelName: 'test/by-reference' },
      server: server.address,
      rank: 2,
      into: { kind: 'memory' },
      transport: 'tcp',
      host: '127.0.0.1',
    } as const;
    await assert.rejects(async () => pull(options), { code: 'ERR_SOURCE_GONE' }, 'the worker does not know its source id yet, and refuses');
    await peer.call('set_worker_source', { mx_source_id: id });
    const result = await pull(options);
    assert.equal(result.tensors, tensors.length);
    assert.equal(result.verified, undefined);
    const { output } = result;
    assert.ok(output.kind === 'memory');
    for (const { name, data } of tensors) {
      const got: { readonly name: string; readonly offset: bigint } | undefined = output.tensors.find((tensor) => tensor.name === name);
      assert.ok(got, name);
      assert.deepEqual(Buffer.from(output.region.view(got.offset, data.length)), Buffer.from(data), name);
    }
  });

  test("our seed's manifest, fetched and leased by its client", async () => {
    const { seed, worker } = await startSeed('test/ours');
    await using _ = seed;
    const peer = Peer.start();
    const { sourceId, workerId, workerEndpoint: endpoint } = seed.summary;
    const wanted = worker.tensors.map(({ name, addr, size, dtype }) => ({ name, addr: String(addr), size: String(size), dtype }));
    const ask = { endpoint, mx_source_id: sourceId, worker_id: workerId };

    const fetched = await peer.call<{ tensors: readonly Tensor[] }>('fetch_manifest', ask);
    assert.deepEqual(fetched.tensors, wanted);
    const prepared = await peer.call<{ lease: string; manifest: { tensors: readonly Tensor[]; mxSourceId: string; workerId: string } }>(
      'prepare_read',
      ask,
    );
    assert.deepEqual(prepared.manifest.tensors, wanted);
    assert.deepEqual([prepared.manifest.mxSourceId, prepared.manifest.workerId], [sourceId, workerId]);
    await peer.call('release_read', { lease: prepared.lease });

    const refusals = [
      [{ ...ask, mx_source_id: '0123456789abcdef' }, `mx_source_id mismatch: expected ${sourceId}, got 0123456789abcdef`],
      [{ ...ask, worker_id: 'somebody' }, `worker_id mismatch: expected ${workerId}, got somebody`],
    ] as const;
    for (const [wrong, message] of refusals) {
      for (const call of ['fetch_manifest', 'prepare_read']) {
        await assert.rejects(peer.call(call, wrong), (error: unknown) => {
          assert.ok(error instanceof PeerError);
          assert.deepEqual([error.code, error.message], ['FAILED_PRECONDITION', message]);
          return true;
        });
      }
    }
    await seed.close();
    await assert.rejects(peer.call('fetch_manifest', ask), (error: unknown) => error instanceof PeerError && error.code === 'UNAVAILABLE');
  });

  test('its refusals of a worker of another name end our pull with the reason', async () => {
    const { server, seed, worker } = await startSeed('test/reused-port');
    await using _ = seed;
    const descriptors = worker.tensors.map(({ name, addr, size }) => ({ name, addr: String(addr), size: String(size) }));
    const peer = Peer.start();
    await peer.call('connect', { server: server.address });
    const port = await peer.call<number>('start_worker', { tensors: descriptors, worker_id: 'newcomer' });
    const id = await peer.call<string>('publish', {
      identity: { modelName: 'test/moved' },
      worker: { transferEngineSessionId: seed.summary.sessionId, workerGrpcEndpoint: `127.0.0.1:${String(port)}` },
      worker_id: 'predecessor',
    });
    await peer.call('set_worker_source', { mx_source_id: id });
    const client = new MetadataClient(server.address);
    const update = { mxSourceId: id, workerId: 'predecessor', workerRank: 0, status: SourceStatus.SOURCE_STATUS_READY };
    assert.ok((await client.updateStatus(update)).success);
    client.close();
    const options = { identity: { modelName: 'test/moved' }, server: server.address, into: { kind: 'discard' }, transport: 'tcp' } as const;
    await assert.rejects(async () => pull(options), {
      code: 'ERR_SOURCE_GONE',
      message: /worker_id mismatch: expected newcomer, got predecessor/,
    });
  });
});

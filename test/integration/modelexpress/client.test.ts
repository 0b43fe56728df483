/** ModelExpress' own Python client against `weightcast serve`: publish, list, get, update, stale; and its publisher thread. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BackendFramework, mxSourceId, pythonMxSourceId, SourceIdentity } from '#src/index.js';
import { serve, Role } from '../../support/roles.js';
import { eventually } from '../../support/eventually.js';
import { Peer, PeerError, type Instance, whySkip } from './peer.js';

const skip = whySkip();
if (skip !== false) console.log(`skipped: ${skip}`);

const identity = {
  mxVersion: '0.7.0',
  modelName: 'deepseek-ai/DeepSeek-V3',
  backendFramework: 'BACKEND_FRAMEWORK_SGLANG',
  tensorParallelSize: 8,
  pipelineParallelSize: 1,
  dtype: 'bfloat16',
  extraParameters: { source_domain: 'blue', training_step: '0', layout_signature: 'abc' },
};

const worker = {
  workerRank: 3,
  nixlMetadata: Buffer.from('agent blob').toString('base64'),
  accelerator: 'cuda',
  topology: { rack: 'r1', host: 'node7' },
  tensors: [{ name: 'lm_head.weight', addr: '18446744073709551615', size: '9007199254740993', deviceId: 7, dtype: 'torch.bfloat16' }],
  tensorSource: {
    tensors: [{ name: 'lm_head.weight', addr: '18446744073709551615', size: '9007199254740993', deviceId: 7, dtype: 'torch.bfloat16' }],
  },
};

interface Reply {
  readonly found?: boolean;
  readonly worker?: Record<string, unknown> & { readonly updatedAt?: string };
  readonly identity?: Record<string, unknown>;
  readonly mxSourceId?: string;
  readonly workerId?: string;
}

async function instances(peer: Peer, status?: string): Promise<readonly Instance[]> {
  const { instances: found } = await peer.call<{ instances?: readonly Instance[] }>('list', { identity, status });
  return found ?? [];
}

describe('MxClient', { skip }, () => {
  test('publishes, lists, gets, updates and goes stale', async () => {
    const { address } = await serve();
    const peer = Peer.start();
    await peer.call('connect', { server: `http://${address}` });
    const id = await peer.call<string>('publish', { identity, worker, worker_id: 'cafe0001' });
    assert.equal(id, await peer.call('source_id', { identity }), 'the id that Python computes is the one that the server gave');

    assert.deepEqual(await instances(peer, 'SOURCE_STATUS_READY'), [], 'its publishers send no status: not READY before the first update');
    const [listed] = await instances(peer);
    assert.deepEqual(listed, {
      mxSourceId: id,
      workerId: 'cafe0001',
      modelName: identity.modelName,
      workerRank: 3,
      accelerator: 'cuda',
      trainingStep: '0',
      layoutSignature: 'abc',
      topology: worker.topology,
    });

    assert.equal(
      await peer.call('update', { mx_source_id: id, worker_id: 'cafe0001', worker_rank: 3, status: 'SOURCE_STATUS_READY', source_load: 0 }),
      true,
    );
    const [ready] = await instances(peer, 'SOURCE_STATUS_READY');
    assert.equal(ready?.sourceLoad, 0, 'a measured load of 0 is not an unknown one');
    assert.ok(Math.abs(Number(ready.updatedAt) - Date.now()) < 60_000);

    const reply = await peer.call<Reply>('get', { mx_source_id: id, worker_id: 'cafe0001' });
    assert.deepEqual(
      { ...reply, worker: { ...reply.worker, updatedAt: undefined } },
      {
        found: true,
        mxSourceId: id,
        workerId: 'cafe0001',
        identity,
        worker: { ...worker, status: 'SOURCE_STATUS_READY', updatedAt: undefined },
      },
    );

    assert.equal(
      await peer.call('update', { mx_source_id: id, worker_id: 'cafe0001', worker_rank: 3, status: 'SOURCE_STATUS_STALE' }),
      true,
    );
    assert.deepEqual(await instances(peer, 'SOURCE_STATUS_READY'), []);
    const stale = await instances(peer, 'SOURCE_STATUS_STALE');
    assert.equal(stale.length, 1);
    assert.equal(stale[0]?.sourceLoad, undefined, 'an update without a load leaves it unknown');
  });

  test('sees what it asks for wrongly refused in band, with the reason', async () => {
    const { address } = await serve();
    const peer = Peer.start();
    await peer.call('connect', { server: address });
    await assert.rejects(peer.call('publish', { identity: { ...identity, modelName: '' }, worker, worker_id: 'w' }), {
      kind: 'RuntimeError',
      message: 'PublishMetadata failed: identity.model_name is required',
    });
    await assert.rejects(peer.call('publish', { identity, worker, worker_id: '' }), {
      message: 'PublishMetadata failed: worker_id is required',
    });
    assert.equal(await peer.call('update', { mx_source_id: 'x', worker_id: 'y', worker_rank: 0, status: 'SOURCE_STATUS_READY' }), false);
    assert.match(peer.log, /UpdateStatus failed: Failed to update status: update_status: rank 0 not found in source 'x' worker 'y'/);
    assert.deepEqual(await peer.call('get', { mx_source_id: 'x', worker_id: 'y' }), { mxSourceId: 'x', workerId: 'y' });
    assert.deepEqual(await peer.call('get', { mx_source_id: '', worker_id: 'y' }), {});
  });

  test('finds artifacts, agents without metadata and Mooncake sessions as they were published', async () => {
    const { address } = await serve();
    const peer = Peer.start();
    await peer.call('connect', { server: address });
    const published: readonly [string, Record<string, unknown>, Record<string, unknown>][] = [
      ['artifact', { artifactSource: { artifactId: 'a', totalSize: '18446744073709551615', chunkCount: 2 }, tensors: worker.tensors }, {}],
      ['empty-agent', { nixlMetadata: '' }, { tensorSource: {} }],
      ['session', { transferEngineSessionId: '10.0.0.1:15428', tensorSource: worker.tensorSource }, { tensors: worker.tensors }],
      ['legacy', { tensors: worker.tensors }, { tensorSource: worker.tensorSource }],
    ];
    for (const [workerId, sent, added] of published) {
      const id = await peer.call('publish', { identity, worker: sent, worker_id: workerId });
      const { worker: got } = await peer.call<Reply>('get', { mx_source_id: id, worker_id: workerId });
      const { tensors: _dropped, ...artifact } = sent;
      assert.deepEqual(got, workerId === 'artifact' ? artifact : { ...sent, ...added }, workerId);
    }
  });

  test('gets fifty thousand tensors back as they were', async () => {
    const { address } = await serve();
    const peer = Peer.start();
    await peer.call('connect', { server: address });
    const tensors = 50_000;
    const id = await peer.call<string>('publish_large', { identity, worker_id: 'large', tensors });
    assert.deepEqual(await peer.call('fetch_large', { mx_source_id: id, worker_id: 'large', tensors }), { legacy: true, source: true });
  });

  test('and its id of names beyond ASCII: the server computes as the Rust server does', async () => {
    const { address } = await serve();
    const peer = Peer.start();
    await peer.call('connect', { server: address });
    const foreign = { ...identity, modelName: 'Modèle/ÉTÉ' };
    const ours = SourceIdentity.fromPartial({
      mxVersion: '0.7.0',
      modelName: foreign.modelName,
      backendFramework: BackendFramework.BACKEND_FRAMEWORK_SGLANG,
      tensorParallelSize: 8,
      pipelineParallelSize: 1,
      dtype: 'bfloat16',
      extraParameters: identity.extraParameters,
    });
    assert.equal(await peer.call('publish', { identity: foreign, worker, worker_id: 'w' }), mxSourceId(ours));
    assert.equal(await peer.call('source_id', { identity: foreign }), pythonMxSourceId(ours));
    assert.notEqual(mxSourceId(ours), pythonMxSourceId(ours));
  });
});

describe('PublisherThread', { skip }, () => {
  const start = { identity, worker, worker_id: 'beef0001', interval: 1 };

  test('is READY from its first beat on, follows its health, and goes STALE when the interpreter ends', async () => {
    const { address } = await serve();
    const peer = Peer.start();
    const watcher = Peer.start();
    await peer.call('connect', { server: address });
    await watcher.call('connect', { server: address });
    await peer.call('set_load', { load: 0.25 });
    await peer.call('start_publisher', start);
    const [ready] = await eventually('READY', async () => {
      const found = await instances(watcher, 'SOURCE_STATUS_READY');
      return found.length > 0 ? found : undefined;
    });
    assert.equal(ready?.sourceLoad, 0.25);
    await eventually('a later heartbeat', async () => {
      const [now] = await instances(watcher, 'SOURCE_STATUS_READY');
      return Number(now?.updatedAt) > Number(ready.updatedAt) ? now : undefined;
    });

    await peer.call('set_health', { healthy: false });
    await eventually('STALE while unhealthy', async () => (await instances(watcher, 'SOURCE_STATUS_STALE'))[0]);
    await peer.call('set_health', { healthy: true });
    await eventually('READY again', async () => (await instances(watcher, 'SOURCE_STATUS_READY'))[0]);

    await peer.exit();
    assert.equal((await instances(watcher, 'SOURCE_STATUS_STALE')).length, 1);
    assert.match(peer.log, /Marked STALE on shutdown/);
  });

  test('publishes again after our server restarted with nothing', async () => {
    const first = await serve();
    const peer = Peer.start();
    await peer.call('connect', { server: first.address });
    await peer.call('start_publisher', start);
    await eventually('the first publication', async () => {
      const { sourceId } = await peer.call<{ sourceId: string | null }>('publisher_state');
      return sourceId ?? undefined;
    });
    await first.role.stop('SIGKILL');
    const second = new Role(['serve', '--listen', first.address]);
    assert.equal((await second.next())['address'], first.address);
    const watcher = Peer.start();
    await watcher.call('connect', { server: first.address });
    await eventually('READY at the new server', async () => (await instances(watcher, 'SOURCE_STATUS_READY'))[0]);
    assert.equal((await peer.call<{ publications: number }>('publisher_state')).publications, 2);
    await peer.call('stop_publisher');
    assert.deepEqual(await instances(watcher, 'SOURCE_STATUS_READY'), []);
  });
});

test('a call to nobody is an error of gRPC, as its callers expect', { skip }, async () => {
  const peer = Peer.start();
  await peer.call('connect', { server: '127.0.0.1:1' });
  await assert.rejects(peer.call('list'), (error: unknown) => error instanceof PeerError && error.code === 'UNAVAILABLE');
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  GetMetadataRequest,
  ListSourcesRequest,
  P2pServiceService,
  PublishMetadataRequest,
  SourceStatus,
  UpdateStatusRequest,
} from '#src/gen/model_express/p2p.js';
import { completeIdentity, mxSourceId } from '#src/identity/index.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import type { WorkerListing } from '#src/metadata/stores/store.js';
import { call, connect, connectRaw, identity, memoryLogger, startServer, tensors, worker } from './support.js';

const READY = SourceStatus.SOURCE_STATUS_READY;
const { publishMetadata, listSources, getMetadata, updateStatus } = P2pServiceService;

describe('a generated client and the metadata server', () => {
  it('get every refusal in band, with status OK', async (test) => {
    const server = await startServer(test);
    const client = connectRaw(test, server.address);
    const empty = { success: false, mxSourceId: '', workerId: '' };
    const publish = (fields: Partial<PublishMetadataRequest>) =>
      call(client, publishMetadata, { ...PublishMetadataRequest.create(), ...fields });
    assert.deepEqual(await publish({}), { ...empty, message: 'identity is required' });
    assert.deepEqual(await publish({ identity: completeIdentity({}) }), { ...empty, message: 'identity.model_name is required' });
    assert.deepEqual(await publish({ identity }), { ...empty, message: 'worker_id is required' });
    assert.deepEqual(await publish({ identity, workerId: 'w' }), { ...empty, message: 'worker is required' });

    const update = (fields: Partial<UpdateStatusRequest>) => call(client, updateStatus, { ...UpdateStatusRequest.create(), ...fields });
    assert.deepEqual(await update({}), { success: false, message: 'mx_source_id is required' });
    assert.deepEqual(await update({ mxSourceId: 's' }), { success: false, message: 'worker_id is required' });
    assert.deepEqual(await update({ mxSourceId: 's', workerId: 'w', status: 7 as never }), {
      success: false,
      message: 'invalid status value: 7',
    });
    assert.deepEqual(await update({ mxSourceId: 's', workerId: 'w', workerRank: 4 }), {
      success: false,
      message: "Failed to update status: update_status: rank 4 not found in source 's' worker 'w'",
    });

    const get = (fields: Partial<GetMetadataRequest>) => call(client, getMetadata, { ...GetMetadataRequest.create(), ...fields });
    const nothing = { found: false, worker: undefined, identity: undefined };
    assert.deepEqual(await get({ workerId: 'w' }), { ...nothing, mxSourceId: '', workerId: '' });
    assert.deepEqual(await get({ mxSourceId: 's', workerId: 'w' }), { ...nothing, mxSourceId: 's', workerId: 'w' });
    assert.deepEqual(await call(client, listSources, ListSourcesRequest.create()), { instances: [] });
  });

  it('publish, list, get, update and take back a worker', async (test) => {
    const clock = { ms: 1_700_000_000_000 };
    const server = await startServer(test, { clock: () => clock.ms });
    const client = connectRaw(test, server.address);
    const published = worker({
      workerRank: 3,
      accelerator: 'cuda',
      topology: { rack: 'r1' },
      backendMetadata: { $case: 'transferEngineSessionId', value: '10.0.0.1:15000' },
      tensors: tensors(2),
    });
    const request = { ...PublishMetadataRequest.create(), identity, worker: published, workerId: 'w' };
    const mxId = mxSourceId(identity);
    assert.deepEqual(await call(client, publishMetadata, request), {
      success: true,
      message: `Published metadata for 'Test/Model' (source_id=${mxId}, worker_id=w, worker_rank=3, 2 tensors)`,
      mxSourceId: mxId,
      workerId: 'w',
    });
    const query = { ...ListSourcesRequest.create(), identity, statusFilter: READY };
    assert.deepEqual(await call(client, listSources, query), { instances: [] });

    const update = { ...UpdateStatusRequest.create(), mxSourceId: mxId, workerId: 'w', workerRank: 3, status: READY, sourceLoad: 0.5 };
    assert.deepEqual(await call(client, updateStatus, update), {
      success: true,
      message: `Updated status for source '${mxId}' worker_id 'w' rank 3`,
    });
    const reference = { mxSourceId: mxId, workerId: 'w', modelName: 'Test/Model', workerRank: 3, accelerator: 'cuda' };
    const details = {
      updatedAt: BigInt(clock.ms),
      trainingStep: undefined,
      layoutSignature: undefined,
      topology: { rack: 'r1' },
      sourceLoad: 0.5,
    };
    assert.deepEqual(await call(client, listSources, query), { instances: [{ ...reference, ...details }] });
    assert.deepEqual(await call(client, getMetadata, { mxSourceId: mxId, workerId: 'w' }), {
      found: true,
      mxSourceId: mxId,
      workerId: 'w',
      identity,
      worker: {
        ...published,
        status: READY,
        updatedAt: BigInt(clock.ms),
        sourcePayload: { $case: 'tensorSource', value: { tensors: tensors(2) } },
      },
    });

    clock.ms += 90_000;
    assert.equal((await call(client, listSources, query)).instances.length, 1);
    clock.ms += 1;
    assert.equal((await call(client, listSources, query)).instances.length, 0);
    await call(client, updateStatus, { ...update, status: SourceStatus.SOURCE_STATUS_STALE });
    assert.equal((await call(client, listSources, query)).instances.length, 0);
    assert.equal((await call(client, getMetadata, { mxSourceId: mxId, workerId: 'w' })).worker?.status, SourceStatus.SOURCE_STATUS_STALE);
    await call(client, updateStatus, update);
    assert.equal((await call(client, listSources, query)).instances.length, 1);
  });

  it('tell a training step of 0 from none', async (test) => {
    const server = await startServer(test);
    const client = connectRaw(test, server.address);
    const publish = (workerId: string, extraParameters: Record<string, string>) =>
      call(client, publishMetadata, {
        ...PublishMetadataRequest.create(),
        identity: { ...identity, extraParameters },
        worker: worker(),
        workerId,
      });
    await publish('zero', { training_step: '0' });
    await publish('none', {});
    const { instances } = await call(client, listSources, ListSourcesRequest.create());
    const steps = Object.fromEntries(instances.map((instance) => [instance.workerId, instance.trainingStep]));
    assert.deepEqual(steps, { zero: 0n, none: undefined });
    const { instances: stepped } = await call(client, listSources, { ...ListSourcesRequest.create(), minTrainingStep: 0n });
    assert.deepEqual(
      stepped.map((instance) => instance.workerId),
      ['zero'],
    );
  });

  it('keep empty members of oneofs, unknown enum numbers and the largest addresses', async (test) => {
    const server = await startServer(test);
    const client = connectRaw(test, server.address);
    const largest = (1n << 64n) - 1n;
    const descriptor = { name: 'x', addr: largest, size: largest, deviceId: 4_294_967_295, dtype: '' };
    const sent = worker({
      status: 77 as never,
      backendMetadata: { $case: 'nixlMetadata', value: Buffer.alloc(0) },
      sourcePayload: { $case: 'tensorSource', value: { tensors: [descriptor] } },
    });
    const unknown = { ...identity, mxSourceType: 42 as never, backendFramework: -1 as never };
    const reply = await call(client, publishMetadata, {
      ...PublishMetadataRequest.create(),
      identity: unknown,
      worker: sent,
      workerId: 'w',
    });
    assert.equal(reply.mxSourceId, mxSourceId(unknown));
    const got = await call(client, getMetadata, { mxSourceId: reply.mxSourceId, workerId: 'w' });
    assert.deepEqual(got.worker, { ...sent, tensors: [descriptor] });
    assert.deepEqual(got.identity, unknown);
  });

  it('hide a failing store as peers expect it', async (test) => {
    class Broken extends MemoryStore {
      override publish(): Promise<void> {
        return Promise.reject(new Error('disk on fire'));
      }
      override list(): Promise<WorkerListing[]> {
        return Promise.reject(new Error('disk on fire'));
      }
      override get(): Promise<undefined> {
        return Promise.reject(new Error('disk on fire'));
      }
      override updateStatus(): Promise<boolean> {
        throw new Error('disk on fire');
      }
    }
    const logger = memoryLogger();
    const server = await startServer(test, { store: new Broken(), logger });
    const client = connectRaw(test, server.address);
    const request = { ...PublishMetadataRequest.create(), identity, worker: worker(), workerId: 'w' };
    const failed = { success: false, mxSourceId: '', workerId: '', message: 'Failed to publish metadata: disk on fire' };
    assert.deepEqual(await call(client, publishMetadata, request), failed);
    assert.deepEqual(await call(client, listSources, ListSourcesRequest.create()), { instances: [] });
    assert.deepEqual(await call(client, getMetadata, { mxSourceId: 's', workerId: 'w' }), {
      found: false,
      worker: undefined,
      mxSourceId: '',
      workerId: '',
      identity: undefined,
    });
    const update = { ...UpdateStatusRequest.create(), mxSourceId: 's', workerId: 'w' };
    assert.deepEqual(await call(client, updateStatus, update), { success: false, message: 'Failed to update status: disk on fire' });
    assert.equal(logger.lines.filter((line) => /^error .*disk on fire/.test(line)).length >= 4, true);
  });
});

describe('our client and the metadata server', () => {
  it('do the same through objects', async (test) => {
    const server = await startServer(test);
    const client = connect(test, `http://${server.address}`);
    const list = tensors(3);
    const sent = worker({ workerRank: 1, tensors: list, sourcePayload: { $case: 'tensorSource', value: { tensors: list } } });
    const id = await client.publish({ identity: { modelName: 'Test/Model', tensorParallelSize: 2 }, worker: sent, workerId: 'w' });
    assert.equal(id, mxSourceId(identity));
    const update = { mxSourceId: id, workerId: 'w', workerRank: 1, status: READY };
    assert.equal((await client.updateStatus({ ...update, sourceLoad: 0 })).success, true);
    const [reference] = await client.listSources({
      identity: { modelName: 'TEST/MODEL', tensorParallelSize: 2 },
      statusFilter: READY,
      limit: 5,
    });
    assert.deepEqual([reference?.workerId, reference?.sourceLoad], ['w', 0]);
    assert.deepEqual(await client.listSources({ workerRankFilter: 2 }), []);
    const got = await client.getMetadata(id, 'w');
    assert.deepEqual(got?.identity, identity);
    assert.deepEqual(got.worker.tensors, list);
    assert.equal(got.worker.status, READY);
    assert.equal(await client.getMetadata(id, 'nobody'), undefined);
    await assert.rejects(client.publish({ identity: {}, worker: sent, workerId: 'w' }), {
      code: 'ERR_PUBLISH_REFUSED',
      peer: server.address,
      message: /identity\.model_name is required/,
    });
  });

  it('keep a parameter of the name __proto__ in the id', async (test) => {
    const server = await startServer(test);
    const client = connect(test, server.address);
    const strange = { ...identity, extraParameters: JSON.parse('{"__proto__":"x"}') as Record<string, string> };
    const id = await client.publish({ identity: strange, worker: worker(), workerId: 'w' });
    assert.equal(id, mxSourceId(strange));
    assert.notEqual(id, mxSourceId(identity));
    assert.equal((await client.listSources({ identity: strange })).length, 1);
    const got = await client.getMetadata(id, 'w');
    assert.deepEqual(Object.keys(got?.identity?.extraParameters ?? {}), ['__proto__']);
  });
});

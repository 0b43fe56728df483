/** What stands in Redis, byte for byte: servers of others read it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { BackendFramework, SourceIdentity, type TensorDescriptor, WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { completeIdentity } from '#src/identity/index.js';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { identity, lengthDelimited, publishRequest, READY, worker } from '../../support/p2p-messages.js';
import { noRedis } from '../../support/redis.js';
import { openStore, useRedis } from './support.js';

const max = (1n << 64n) - 1n;

const tensors: TensorDescriptor[] = [
  { name: 'a "quoted" \u00e9\u2028', addr: max, size: 1n, deviceId: 3, dtype: 'BF16' },
  { name: '', addr: 0n, size: (1n << 53n) + 1n, deviceId: 0, dtype: '' },
];

describe('the layout in Redis', { skip: noRedis }, () => {
  const redis = useRedis();

  it('is four fields of two hashes', async (test) => {
    const peer = new Peer(callsOn(await openStore(test, redis())));
    const id = await peer.publish(
      'worker-1',
      {
        workerRank: 7,
        backendMetadata: { $case: 'nixlMetadata', value: Buffer.from([0, 222, 255]) },
        status: READY,
        updatedAt: 1_700_000_000_123n,
        metadataEndpoint: 'host:5000',
        agentName: 'agent',
        workerGrpcEndpoint: 'host:6000',
        accelerator: 'cuda',
        topology: { zone: 'z', rack: 'r' },
        sourcePayload: { $case: 'tensorSource', value: { tensors } },
      },
      completeIdentity({
        ...identity,
        mxVersion: '0.7.0',
        backendFramework: BackendFramework.BACKEND_FRAMEWORK_SGLANG,
        dtype: 'BF16',
        extraParameters: { training_step: '5', '10': 'x' },
        gpuArch: 'sm90',
      }),
    );
    assert.deepEqual(((await redis().command('KEYS', '*')) as string[]).sort(), [`mx:source:${id}`, `mx:source:${id}:worker-1`]);
    const summary =
      '{"worker_rank":7,"status":2,"updated_at":1700000000123,"accelerator":"cuda","source_load":null,"topology":{"rack":"r","zone":"z"}}';
    assert.deepEqual(await redis().hash(`mx:source:${id}`), {
      __attributes__:
        '{"model_name":"Test/Model","mx_version":"0.7.0","mx_source_type":0,"backend_framework":2,"tensor_parallel_size":2,' +
        '"pipeline_parallel_size":0,"expert_parallel_size":0,"dtype":"BF16","quantization":"",' +
        '"extra_parameters":{"10":"x","training_step":"5"},"revision":"","backend_framework_version":"","torch_version":"",' +
        '"cuda_version":"","triton_version":"","gpu_arch":"sm90","compile_config_digest":""}',
      'worker-1': summary,
    });
    assert.deepEqual(await redis().hash(`mx:source:${id}:worker-1`), {
      '7':
        '{"worker_rank":7,"backend_type":"nixl","nixl_metadata":[0,222,255],"transfer_engine_session_id":null,"tensors":[' +
        '{"name":"a \\"quoted\\" \u00e9\u2028","addr":"18446744073709551615","size":"1","device_id":3,"dtype":"BF16"},' +
        '{"name":"","addr":"0","size":"9007199254740993","device_id":0,"dtype":""}],' +
        '"status":2,"updated_at":1700000000123,"metadata_endpoint":"host:5000","agent_name":"agent",' +
        '"worker_grpc_endpoint":"host:6000","accelerator":"cuda","source_load":null,"topology":{"rack":"r","zone":"z"},' +
        '"artifact_source":null}',
      'status:7': summary,
    });
  });

  it('names the kind of backend, and keeps an artifact without tensors', async (test) => {
    const peer = new Peer(callsOn(await openStore(test, redis())));
    const artifact = { artifactId: 'a', totalSize: max, fileCount: 1, chunkCount: 2, nodeRank: 3 };
    const id = await peer.publish('session', { backendMetadata: { $case: 'transferEngineSessionId', value: 'host:1' } });
    await peer.publish('artifact', { tensors, sourcePayload: { $case: 'artifactSource', value: artifact } });
    await peer.publish('empty', { backendMetadata: { $case: 'nixlMetadata', value: Buffer.alloc(0) } });
    const rest =
      '"status":0,"updated_at":0,"metadata_endpoint":"","agent_name":"","worker_grpc_endpoint":"","accelerator":"",' +
      '"source_load":null,"topology":{},"artifact_source":';
    const record = async (workerId: string): Promise<string | undefined> => (await redis().hash(`mx:source:${id}:${workerId}`))['0'];
    const begins = (type: string, session: string): string =>
      `{"worker_rank":0,"backend_type":"${type}","nixl_metadata":[],"transfer_engine_session_id":${session},"tensors":[],`;
    assert.equal(await record('session'), `${begins('transfer_engine', '"host:1"')}${rest}null}`);
    assert.equal(await record('empty'), `${begins('nixl', 'null')}${rest}null}`);
    assert.equal(
      await record('artifact'),
      `${begins('none', 'null')}${rest}{"artifact_id":"a","total_size":"18446744073709551615","file_count":1,"chunk_count":2,"node_rank":3}}`,
    );
  });

  it('is rewritten by a heartbeat in two summaries, and not in the record', async (test) => {
    const peer = new Peer(callsOn(await openStore(test, redis())));
    const id = await peer.publish('w', { accelerator: 'xpu', topology: { rack: 'r' } });
    const key = `mx:source:${id}:w`;
    const { 0: record } = await redis().hash(key);
    for (const [sourceLoad, text] of [
      [undefined, 'null'],
      [0, '0.0'],
      [Math.fround(0.1), '0.1'],
      [1, '1.0'],
    ] as const) {
      peer.clock.now++;
      await peer.update(id, 'w', { status: READY, sourceLoad });
      const summary =
        `{"worker_rank":0,"status":2,"updated_at":${String(peer.clock.now)},"accelerator":"xpu",` +
        `"source_load":${text},"topology":{"rack":"r"}}`;
      assert.deepEqual(await redis().hash(key), { '0': record, 'status:0': summary });
      assert.equal((await redis().hash(`mx:source:${id}`))['w'], summary);
    }
  });

  it('holds fields of later versions in a member of our own, and gives them back', async (test) => {
    const peer = new Peer(callsOn(await openStore(test, redis())));
    const later = lengthDelimited(99, Buffer.from('later'));
    const entry = Buffer.concat([Buffer.from(new BinaryWriter().tag(1, WireType.LengthDelimited).string('t').finish()), later]);
    const message = Buffer.concat([
      WorkerMetadata.encode(worker({ agentName: 'a' })).finish(),
      lengthDelimited(20, lengthDelimited(1, entry)),
      later,
    ]);
    const known = SourceIdentity.encode(identity).finish();
    const request = Buffer.concat([
      lengthDelimited(1, Buffer.concat([known, later])),
      lengthDelimited(2, message),
      publishRequest({ workerId: 'w' }),
    ]);
    const { mxSourceId: id, message: answer } = await peer.calls.publish(request);
    assert.notEqual(id, '', answer);
    const member = `"weightcast_unknown_fields":"${later.toString('base64')}"`;
    assert.ok((await redis().hash(`mx:source:${id}`))['__attributes__']?.endsWith(`,${member}}`));
    const record = (await redis().hash(`mx:source:${id}:w`))['0'] ?? '';
    assert.ok(record.endsWith(`,${member}}`));
    assert.ok(record.includes(`"dtype":"",${member}}]`));

    const other = await openStore(test, redis());
    const stored = await other.get(id, 'w');
    assert.deepEqual(stored?.source?.identity, Buffer.concat([known, later]));
    assert.ok(stored.worker.envelope.includes(later));
    assert.deepEqual(stored.worker.payload, { kind: 'tensors', entries: lengthDelimited(1, entry), count: 1 });
  });

  it('leaves the keys of others alone', async (test) => {
    const store = await openStore(test, redis());
    const peer = new Peer(callsOn(store));
    const others = ['mx:model:0123456789abcdef', 'mx:refit:worker:w', 'mx:source:short', 'mx:source:fedcba9876543210x'];
    for (const key of others) await redis().command('HSET', key, 'w', '{"worker_rank":0,"status":2,"updated_at":1}');
    await redis().command('SET', 'mx:source:fedcba9876543210', 'no hash');
    const id = await peer.publish('w', { status: READY, updatedAt: 1n });
    assert.deepEqual(await peer.ids(), ['w']);
    assert.equal(await store.removeWorker(id, 'w'), true);
    assert.deepEqual(((await redis().command('KEYS', '*')) as string[]).sort(), [...others, 'mx:source:fedcba9876543210'].sort());
    for (const key of others) assert.deepEqual(Object.keys(await redis().hash(key)), ['w']);
  });

  it('cannot be reached through ids that are none', async (test) => {
    const store = await openStore(test, redis());
    const peer = new Peer(callsOn(store));
    const id = await peer.publish('w:x', { status: READY, updatedAt: 1n });
    const before = [await redis().hash(`mx:source:${id}`), await redis().hash(`mx:source:${id}:w:x`)];
    // The key of the worker w:x, taken for that of the worker x of a source that ends with :w.
    assert.equal((await peer.update(`${id}:w`, 'x', { status: READY })).success, false);
    assert.equal((await peer.get(`${id}:w`, 'x')).found, false);
    assert.equal(await store.removeWorker(`${id}:w`, 'x'), false);
    assert.equal((await peer.update(id, '__attributes__', { status: READY })).success, false);
    assert.deepEqual([await redis().hash(`mx:source:${id}`), await redis().hash(`mx:source:${id}:w:x`)], before);
  });
});

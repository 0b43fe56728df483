/** What servers of all versions have written, put into Redis by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetadataStore } from '#src/metadata/stores/store.js';
import { callsOn, Peer } from '../../support/p2p-calls.js';
import { INITIALIZING, READY, STALE, UNKNOWN } from '../../support/p2p-messages.js';
import { noRedis } from '../../support/redis.js';
import { openStore, useRedis } from './support.js';

const id = '0123456789abcdef';
const source = `mx:source:${id}`;

describe('Redis written by others', { skip: noRedis }, () => {
  const redis = useRedis();

  /** A worker with one record, and whatever its source says of it. */
  async function write(workerId: string, fields: Record<string, string>, summary: string): Promise<void> {
    await redis().command('HSET', source, '__attributes__', '{"model_name":"Old/Model"}', workerId, summary);
    for (const [field, value] of Object.entries(fields)) await redis().command('HSET', `${source}:${workerId}`, field, value);
  }

  const peerOf = (store: MetadataStore): Peer => new Peer(callsOn(store));

  it('gives records of the oldest form: no backend type, no defaults, members that nobody knows', async (test) => {
    const peer = peerOf(await openStore(test, redis()));
    const tensor = (addr: string, size: string): string =>
      `{"dtype":"BF16","device_id":1,"new":[{"x":null}],"size":${size},"addr":${addr},"name":"t"}`;
    const numbers = [
      tensor('18446744073709551615', '"7"'),
      tensor('9007199254740993', '4096.0'),
      tensor('1.4e14', '"18446744073709551615"'),
    ];
    await write(
      'nixl',
      { '3': `{ "later": {"a": [1, true, "x"]}, "nixl_metadata": [ 1, 2 ], "worker_rank": 3, "tensors": [${numbers.join(', ')}] }` },
      '3',
    );
    await write('session', { '0': '{"tensors":[],"worker_rank":0,"transfer_engine_session_id":"h:1","nixl_metadata":[1]}' }, '0');
    await write(
      'none',
      { '0': '{"tensors":[],"worker_rank":0,"backend_type":null,"transfer_engine_session_id":"","artifact_source":null}' },
      '0',
    );
    const artifact = '{"artifact_id":"a","total_size":18446744073709551615,"file_count":1,"chunk_count":2}';
    await write('artifact', { '0': `{"tensors":[],"worker_rank":0,"artifact_source":${artifact}}` }, '0');

    const { worker, identity, found } = await peer.get(id, 'nixl');
    assert.equal(found, true);
    assert.equal(identity?.modelName, 'Old/Model');
    assert.equal(worker?.workerRank, 3);
    assert.deepEqual(worker.backendMetadata, { $case: 'nixlMetadata', value: Buffer.from([1, 2]) });
    const [max, wide] = [(1n << 64n) - 1n, (1n << 53n) + 1n];
    assert.deepEqual(
      worker.tensors.map(({ addr, size }) => [addr, size]),
      [
        [max, 7n],
        [wide, 4096n],
        [140_000_000_000_000n, max],
      ],
    );
    assert.deepEqual(worker.tensors[0], { name: 't', addr: max, size: 7n, deviceId: 1, dtype: 'BF16' });
    assert.deepEqual((await peer.get(id, 'session')).worker?.backendMetadata, { $case: 'transferEngineSessionId', value: 'h:1' });
    assert.equal((await peer.get(id, 'none')).worker?.backendMetadata, undefined);
    assert.deepEqual((await peer.get(id, 'artifact')).worker?.sourcePayload, {
      $case: 'artifactSource',
      value: { artifactId: 'a', totalSize: max, fileCount: 1, chunkCount: 2, nodeRank: 0 },
    });
  });

  it('lists a worker of which only the rank stands in its source, with the heartbeats that went to its record', async (test) => {
    const peer = peerOf(await openStore(test, redis()));
    const record = (status: number, time: bigint): string =>
      `{"worker_rank":4,"tensors":[{"name":"status","addr":"1","size":"1","device_id":0,"dtype":"updated_at"}],` +
      `"status":${String(status)},"updated_at":${String(time)},"accelerator":"cuda"}`;
    await write('w', { '4': record(1, peer.at(-10)) }, '4');
    const [first] = await peer.list({ statusFilter: INITIALIZING });
    assert.deepEqual([first?.workerRank, first?.updatedAt, first?.accelerator], [4, peer.at(-10), 'cuda']);
    await write('w', { '4': record(READY, peer.at()) }, '4');
    assert.deepEqual(
      (await peer.list({ statusFilter: READY })).map(({ updatedAt }) => updatedAt),
      [peer.at()],
    );
    assert.equal((await peer.get(id, 'w')).worker?.status, READY);

    peer.clock.now += 5;
    assert.equal((await peer.update(id, 'w', { workerRank: 4, status: STALE })).success, true);
    assert.equal(
      (await redis().hash(source))['w'],
      `{"worker_rank":4,"status":3,"updated_at":${String(peer.clock.now)},"accelerator":"cuda","source_load":null,"topology":{}}`,
    );
    assert.equal((await redis().hash(`${source}:w`))['4'], record(READY, peer.at(-5)));
    assert.deepEqual(await peer.ids({ statusFilter: STALE }), ['w']);
  });

  it('takes the newer of summary and record where servers of both kinds write', async (test) => {
    const [plain, consulting] = [await openStore(test, redis()), await openStore(test, redis(), { consultRecords: true })];
    const peer = peerOf(consulting);
    await peer.publish('x');
    const own = await peer.publish('w', { accelerator: 'cuda' });
    const key = `mx:source:${own}:w`;
    const record = (await redis().hash(key))['0'] ?? '';
    const beaten = record.replace('"status":0,"updated_at":0,', `"status":2,"updated_at":${String(peer.clock.now)},`);
    assert.notEqual(beaten, record);
    await redis().command('HSET', key, '0', beaten);
    assert.deepEqual(await peer.ids({ statusFilter: READY }), ['w']);
    assert.deepEqual(await peerOf(plain).ids({ statusFilter: READY }), [], 'without being told to, records are not consulted');
    assert.equal((await peerOf(plain).get(own, 'w')).worker?.status, READY);

    // The reaper's condition is about the same time that it was listed with.
    const update = { status: STALE, updatedAt: peer.at(1) };
    assert.equal(await consulting.updateStatus(own, 'w', 0, update, peer.at(-1)), false);
    assert.equal(await consulting.updateStatus(own, 'w', 0, update, peer.at()), true);
    assert.deepEqual(await peer.ids({ statusFilter: READY }), []);
    await redis().command('HSET', key, '0', beaten.replace(String(peer.clock.now), String(peer.clock.now + 2)));
    assert.equal(await consulting.removeWorker(own, 'w', peer.at(1)), false);
    assert.equal(await consulting.removeWorker(own, 'w', peer.at(2)), true);
  });

  it('drops a heartbeat that is older than what is stored, and says that it is done', async (test) => {
    const peer = peerOf(await openStore(test, redis()));
    const own = await peer.publish('w');
    await peer.update(own, 'w', { status: READY });
    const before = await redis().hash(`mx:source:${own}:w`);
    peer.clock.now -= 1;
    assert.equal((await peer.update(own, 'w', { status: STALE })).success, true);
    assert.deepEqual(await redis().hash(`mx:source:${own}:w`), before);
  });

  it('survives what is damaged, worker by worker', async (test) => {
    const peer = peerOf(await openStore(test, redis()));
    const good = '{"worker_rank":0,"tensors":[],"status":2,"updated_at":5}';
    await write('good', { '0': good }, '{"worker_rank":0,"status":2,"updated_at":5}');
    await write('no-record', { 'status:0': '{"worker_rank":0,"status":2,"updated_at":5}' }, '0');
    await write('torn', { '0': good.slice(0, -1), 'status:0': '{"worker_rank":0' }, '{"worker_rank":0');
    await write('no-tensors', { '0': '{"worker_rank":0}' }, '{"status":2,"updated_at":5}');
    await write('half-tensor', { '0': '{"worker_rank":0,"tensors":[{"name":"a","addr":"1","size":"1","dtype":""}]}' }, '0');
    await write('negative', { '0': '{"worker_rank":0,"tensors":[{"name":"a","addr":-1,"size":"1","device_id":0,"dtype":""}]}' }, '0');
    await write('vanished', {}, '{"worker_rank":9,"status":2,"updated_at":5,"accelerator":"xpu"}');
    assert.equal((await peer.get(id, 'good')).found, true);
    for (const workerId of ['no-record', 'vanished']) assert.equal((await peer.get(id, workerId)).found, false, workerId);
    for (const workerId of ['torn', 'no-tensors', 'half-tensor', 'negative']) {
      await assert.rejects(peer.get(id, workerId), /the record in field 0 of mx:source:0123456789abcdef:.* cannot be read/, workerId);
    }
    const listed = new Map((await peer.list()).map((reference) => [reference.workerId, reference]));
    assert.equal(listed.size, 7);
    assert.deepEqual([listed.get('vanished')?.workerRank, listed.get('vanished')?.updatedAt], [9, 5n]);
    // The status of a worker without any rank matches no filter; that of a damaged record is unknown.
    assert.ok(!(await peer.ids({ statusFilter: READY, limit: 0 })).includes('vanished'));
    assert.ok((await peer.ids({ statusFilter: UNKNOWN })).includes('no-tensors'));

    await redis().command('HSET', source, '__attributes__', 'no JSON');
    assert.equal((await peer.get(id, 'good')).identity, undefined);
    assert.equal((await peer.list())[0]?.modelName, '');
  });
});

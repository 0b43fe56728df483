/** Reading a seed of the same host without a wire: which way its bytes come, and when there is a wire after all. */
import assert from 'node:assert/strict';
import { readFile, readdir, readlink, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { WeightcastError } from '#src/errors.js';
import { fetchDescriptor, tcpDescriptor, type SegmentDescriptor } from '#src/handshake/index.js';
import { generateModel } from '#src/model/generate.js';
import { openModel } from '#src/model/model.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { native } from '#src/native.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { pull } from '#src/target/index.js';
import { byteTensors, pattern, startServer, temporaryFolder } from '../../support/cluster.js';
import { assertSameModel } from '../../support/models.js';
import { errorOf, pull as pullCommand, Role, seed as seedCommand, serve, summaryOf } from '../../support/roles.js';

const folder = await temporaryFolder();
const model = join(folder, 'model');
await generateModel(model, qwen2_5_7b({ scale: 24 }), { maxFileBytes: 8e6 });
const registry = await startServer();
let models = 0;

function own(): { identity: { modelName: string }; server: string; host: string } {
  return { identity: { modelName: `org/local-${String(models++)}` }, server: registry.address, host: '127.0.0.1' };
}

function descriptorOf(session: string): Promise<SegmentDescriptor> {
  return fetchDescriptor(session, tcpDescriptor({ name: '127.0.0.1:1' }), { prefer: 'tcp' });
}

test('auto takes it between two processes; every byte of a seed of files comes and is verified', async () => {
  const { role: server, address } = await serve();
  const base = ['--server', address, '--host', '127.0.0.1'];
  const { role, ready } = await seedCommand(model, [...base, '--model-name', 'files']);
  assert.deepEqual(ready['transports'], ['tcp', 'local']);
  const out = join(folder, 'copy');
  const summary = summaryOf(await pullCommand([...base, '--model-name', 'files', '--out', out]));
  assert.deepEqual([summary.transport, summary.transportReason, summary.tensors], ['local', '', 339]);
  assert.equal(summary.verified?.bytes, summary.bytes);
  assert.match(summary.lanes[0]?.name ?? '', /^local #1$/);
  await assertSameModel(model, out);
  const asked = summaryOf(await pullCommand([...base, '--model-name', 'files', '--transport', 'tcp', '--discard']));
  assert.equal(asked.transport, 'tcp');
  await role.stop();
  await server.stop();
});

test("a seed of a program's own buffers is read from its memory", async () => {
  const shared = own();
  const tensors = byteTensors([1, 4095, 65_537, 3_000_000, 0]);
  await using seed = await seedTensors(tensors, shared);
  const result = await pull({ ...shared, into: { kind: 'memory' } });
  assert.equal(result.transport, 'local');
  assert.equal(result.verified?.tensors, 5);
  assert.equal(result.output.kind, 'memory');
  using region = result.output.region;
  for (const { name, bytes, offset } of result.output.tensors) {
    assert.deepEqual(region.view(offset, Number(bytes)), tensors.find((tensor) => tensor.name === name)?.data, name);
  }
  const peer = await openPeer(seed.summary.sessionId);
  assert.ok(peer.shared.includes(0), 'these buffers have no descriptor');
  await peer.close();
});

test('shared memory is passed by a descriptor that cannot be written through', async () => {
  const shared = own();
  const name = `weightcast-local-${String(process.pid)}`;
  const region = await Region.createShared(name, 1n << 20n);
  await unlink(`/dev/shm/${name}`);
  region.view().set(pattern(1 << 20, 5));
  await using seed = await seedTensors([{ name: 'all', dtype: 'U8', data: { region, offset: 100n, byteLength: 1_000_000n } }], shared);
  const result = await pull({ ...shared, into: { kind: 'memory' } });
  assert.equal(result.transport, 'local');
  assert.equal(result.output.kind, 'memory');
  using pulled = result.output.region;
  assert.deepEqual(pulled.view(0n, 1_000_000), region.view(100n, 1_000_000));
  const peer = await openPeer(seed.summary.sessionId);
  assert.deepEqual([...peer.shared], [1]);
  const mapped = await peer.map(0);
  assert.equal(mapped.writable, false);
  mapped.close();
  await peer.close();
  for (const fd of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
    if (!target.includes(name)) continue;
    const flags = /flags:\s*0*([0-7]+)/.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
    assert.equal(Number.parseInt(flags, 8) & 3, 0, `descriptor ${fd} of ${target} is open for reading only`);
  }
  region.close();
});

async function openPeer(session: string): ReturnType<ReturnType<typeof native>['connectLocal']> {
  const socket = (await descriptorOf(session)).weightcast?.local;
  assert.ok(socket);
  return native().connectLocal(socket.name, socket.token, 2000);
}

test('a seed that does not offer it is read over the wire without a word; asking for it is an error that says why', async () => {
  const shared = own();
  await using seed = await seedTensors(byteTensors([1000]), { ...shared, local: false });
  assert.deepEqual(seed.summary.transports, ['tcp']);
  const result = await pull({ ...shared, into: { kind: 'discard' } });
  assert.equal(result.transport, 'tcp');
  assert.deepEqual(
    result.notes.filter((note) => note.includes('wire')),
    [],
  );
  await assert.rejects(pull({ ...shared, into: { kind: 'discard' }, transport: 'local' }).then(), (error) => {
    assert.ok(error instanceof WeightcastError);
    assert.equal(error.code, 'ERR_TRANSPORT_UNAVAILABLE');
    assert.match(error.message, /offers no local transport/);
    return true;
  });
});

test('another user is refused: auto goes over the wire and notes why, local is an error', { skip: process.getuid?.() !== 0 }, async () => {
  const { role: server, address } = await serve();
  const base = ['--server', address, '--host', '127.0.0.1', '--model-name', 'mine'];
  const { role } = await seedCommand(model, base);
  const nobody = { prefix: ['setpriv', '--reuid', '65534', '--clear-groups'] };
  const summary = summaryOf(await pullCommand([...base, '--discard'], nobody));
  assert.equal(summary.transport, 'tcp');
  assert.match(summary.notes.join('\n'), /not read without a wire: .*own user/);
  const refused = errorOf(await pullCommand([...base, '--discard', '--transport', 'local'], nobody), 6);
  assert.equal(refused.code, 'ERR_TRANSPORT_UNAVAILABLE');
  await role.stop();
  await server.stop();
});

test('strangers, garbage and the silent are turned away, and others are served meanwhile', async () => {
  const shared = own();
  await using seed = await seedTensors(byteTensors([100_000]), shared);
  const socket = (await descriptorOf(seed.summary.sessionId)).weightcast?.local;
  assert.ok(socket);
  await assert.rejects(native().connectLocal(socket.name, '0'.repeat(64), 2000), /token/);
  await assert.rejects(native().connectLocal(`${socket.name}-not`, socket.token, 2000), /not here/);
  // A stream socket is not even let in.
  await new Promise<void>((resolve) => {
    connect(`\0${socket.name}`).on('error', () => {
      resolve();
    });
  });
  const peers = await Promise.all(Array.from({ length: 100 }, () => native().connectLocal(socket.name, socket.token, 5000)));
  assert.equal((await pull({ ...shared, into: { kind: 'discard' } })).transport, 'local');
  await Promise.all(peers.map((peer) => peer.close()));
});

test('what a seed that is killed has passed stays readable', async () => {
  const { role: server, address } = await serve();
  const { role, ready } = await seedCommand(model, ['--server', address, '--host', '127.0.0.1', '--model-name', 'killed']);
  const peer = await openPeer(String(ready['sessionId']));
  await role.stop('SIGKILL');
  // Files are still there: what was mapped stays, and what is read through a descriptor comes.
  assert.ok(peer.shared.every((flag) => flag === 1));
  const region = await peer.map(0);
  assert.equal(region.byteLength, peer.bufferLength[0]);
  await region.read(0n, new Uint8Array(Number(region.byteLength)));
  region.close();
  await peer.close();
  await server.stop();
});

test("mapped tensors are the seed's own, without a read; every byte stays when the seed was killed", async () => {
  const { role: server, address } = await serve();
  const { role: seeding } = await seedCommand(model, ['--server', address, '--host', '127.0.0.1', '--model-name', 'mapped']);
  const shared = { identity: { modelName: 'mapped' }, server: address, host: '127.0.0.1' };
  const result = await pull({ ...shared, into: { kind: 'mapped' }, verify: true });
  assert.deepEqual([result.transport, result.tensors, result.lanes.length, result.workRequests], ['local', 339, 0, 0]);
  assert.equal(result.verified?.tensors, 339);
  const unread = await pull({ ...shared, into: { kind: 'mapped' } });
  assert.equal(unread.verified, undefined);
  assert.match(unread.notes.join(), /nothing was compared/);
  assert.equal(unread.output.kind, 'mapped');
  for (const region of unread.output.regions) region.close();
  await seeding.stop('SIGKILL');
  assert.equal(result.output.kind, 'mapped');
  const { regions, tensors } = result.output;
  const original = await openModel(model);
  const files = await Promise.all(original.weightFiles.map((file) => readFile(file.path)));
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  assert.equal(byName.size, original.tensors.length);
  for (const { name, file, offset, bytes } of original.tensors) {
    const tensor = byName.get(name);
    assert.equal(tensor?.bytes, bytes, name);
    const found = Buffer.alloc(Number(bytes));
    await regions[tensor.region]?.read(tensor.offset, found);
    const start = Number((original.weightFiles[file]?.dataOffset ?? 0n) + offset);
    assert.ok(files[file]?.subarray(start, start + found.length).equals(found), name);
  }
  for (const region of regions) region.close();
  await server.stop();
});

test('what is in the memory of the seed alone cannot be mapped, nor anything over a wire', async () => {
  const shared = own();
  await using _seed = await seedTensors(byteTensors([1000]), shared);
  await assert.rejects(pull({ ...shared, into: { kind: 'mapped' } }).then(), /memory of that process alone/);
  await assert.rejects(pull({ ...shared, into: { kind: 'mapped' }, transport: 'tcp' }).then(), /only the local transport maps/);
});

test('a mirror pulls locally and is itself read from its memory by another process; once it is killed, it is lost', async () => {
  const { role: server, address } = await serve();
  const base = ['--server', address, '--host', '127.0.0.1', '--model-name', 'mirrored'];
  const { role: origin } = await seedCommand(model, base);
  const mirror = new Role(['mirror', ...base]);
  const ready = await mirror.next();
  assert.equal((ready['source'] as { transport: string }).transport, 'local');
  await origin.stop();
  const out = join(folder, 'mirrored');
  const summary = summaryOf(await pullCommand([...base, '--transport', 'local', '--out', out]));
  assert.equal(summary.transport, 'local');
  await assertSameModel(model, out);

  const peer = await openPeer(String(ready['sessionId']));
  assert.ok(peer.shared.includes(0));
  await mirror.stop('SIGKILL');
  const into = await native().allocate(peer.bufferLength[0] ?? 0n, 'auto');
  const { done } = native().startTransfer({
    remoteAddress: peer.bufferAddress.slice(0, 1),
    length: peer.bufferLength.slice(0, 1),
    localOffset: new BigUint64Array(1),
    region: new Uint32Array(1),
    regions: [into],
    bufferAddress: peer.bufferAddress,
    bufferLength: peer.bufferLength,
    lanes: [peer.lane('local #1')],
    sliceBytes: 1 << 20,
    maxSegments: 16,
    merge: true,
  });
  const outcome = await done;
  assert.equal(outcome.fault?.nativeCode, 'PEER_LOST');
  assert.equal(outcome.bytes, 0n);
  into.close();
  await peer.close();
  await server.stop();
});

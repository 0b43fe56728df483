/** Ways to fail: each has its own code and exit code, a sentence that helps, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, open, readFile, readdir, readlink, truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MetadataClient } from '#src/metadata/client.js';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { errorOf, pull, Role, seed, serve, summaryOf } from '../../support/roles.js';

const folder = await temporaryFolder();
const model = join(folder, 'model');
const tcp = ['--transport', 'tcp', '--host', '127.0.0.1'];

before(async () => {
  await generateModel(model, qwen2_5_7b({ scale: 32 }), {});
});

test('no server: the gRPC status, the address and the reason, at once', async () => {
  const base = ['--server', '127.0.0.1:1', '--model-name', 'm'];
  for (const args of [
    ['pull', ...base, '--discard'],
    ['seed', model, ...base, ...tcp],
    ['sources', '--server', '127.0.0.1:1'],
  ]) {
    const started = performance.now();
    const error = errorOf(await new Role(args).ended, 4);
    assert.equal(error.code, 'ERR_SERVER_UNREACHABLE');
    assert.match(error.message, /UNAVAILABLE.*127\.0\.0\.1:1.*ECONNREFUSED/s);
    assert.ok(performance.now() - started < 5000, 'fails at once');
  }
});

test('no READY source, another identity and another rank are told apart', async () => {
  const { role: server, address } = await serve();
  const none = errorOf(await pull(['--server', address, '--model-name', 'm', '--discard']), 3);
  assert.equal(none.code, 'ERR_NO_SOURCE');
  assert.match(none.message, /knows no source of this model.*weightcast seed/);
  const { role } = await seed(model, ['--server', address, '--model-name', 'm', '--tp', '2', ...tcp]);
  const other = errorOf(await pull(['--server', address, '--model-name', 'm', '--tp', '4', '--discard']), 3);
  assert.equal(other.code, 'ERR_NO_SOURCE');
  assert.match(other.message, /other identities.*compare/);
  const rank = errorOf(await pull(['--server', address, '--model-name', 'm', '--tp', '2', '--rank', '1', '--discard']), 3);
  assert.equal(rank.code, 'ERR_RANK_NOT_FOUND');
  assert.match(rank.message, /rank 0.*none of rank 1/);
  await role.stop();
  const stale = errorOf(await pull(['--server', address, '--model-name', 'm', '--tp', '2', '--wait', '0.5', '--discard']), 3);
  assert.match(stale.message, /registered but not READY/);
  await server.stop();
});

test('waiting for a source ends when one appears', async () => {
  const { role: server, address } = await serve();
  const waiting = pull(['--server', address, '--model-name', 'late', '--wait', '60', '--discard', ...tcp]);
  await sleep(500);
  const { role } = await seed(model, ['--server', address, '--model-name', 'late', ...tcp]);
  assert.equal(summaryOf(await waiting).tensors, 339);
  await role.stop();
  await server.stop();
});

test('RDMA demanded on a machine that has none is an error that says what is missing', async (t) => {
  const { role: server, address } = await serve();
  const { role } = await seed(model, ['--server', address, '--model-name', 'm', ...tcp]);
  const ended = await pull(['--server', address, '--model-name', 'm', '--transport', 'rdma', '--discard']);
  if (ended.code === 0) {
    t.skip('this machine has RDMA');
  } else {
    const error = errorOf(ended, 6);
    assert.ok(['ERR_RDMA_UNAVAILABLE', 'ERR_TRANSPORT_UNAVAILABLE'].includes(error.code), error.code);
  }
  const device = errorOf(await pull(['--server', address, '--model-name', 'm', '--device', 'mlx5_99', '--discard']), 6);
  assert.ok(['ERR_RDMA_UNAVAILABLE', 'ERR_DEVICE_NOT_FOUND'].includes(device.code), device.code);
  const seeding = errorOf(
    await new Role(['seed', model, '--server', address, '--model-name', 'm', '--transport', 'rdma', '--device', 'mlx5_99']).ended,
    6,
  );
  assert.ok(['ERR_RDMA_UNAVAILABLE', 'ERR_DEVICE_NOT_FOUND'].includes(seeding.code), seeding.code);
  await role.stop();
  await server.stop();
});

test('a seed killed while it is read is an error within two seconds and leaves no file', async () => {
  const big = join(folder, 'big');
  await generateModel(big, qwen2_5_7b({ scale: 4 }), {});
  const { role: server, address } = await serve();
  const { role } = await seed(big, ['--server', address, '--model-name', 'big', '--no-checksums', ...tcp]);
  const places = join(folder, 'killed');
  await mkdir(places);
  const target = new Role([
    'pull',
    '--server',
    address,
    '--model-name',
    'big',
    ...tcp,
    '--connections',
    '1',
    '--slice-bytes',
    '65536',
    '--out',
    join(places, 'out'),
  ]);
  // The partial directory appears just before the memory is registered and the wire is used.
  while ((await readdir(places)).length === 0) await sleep(1);
  await sleep(150);
  const killed = performance.now();
  role.process.kill('SIGKILL');
  const error = errorOf(await target.ended, 8);
  assert.ok(performance.now() - killed < 2000, 'within two seconds');
  assert.equal(error.code, 'ERR_PEER_LOST', error.message);
  assert.deepEqual(await readdir(places), []);
  await server.stop();
});

test('a file of the seed that changed after it published is found by its checksum', async () => {
  const changed = join(folder, 'changed');
  await cp(model, changed, { recursive: true });
  const { role: server, address } = await serve();
  const { role } = await seed(changed, ['--server', address, '--model-name', 'changed', ...tcp]);
  const file = await open(join(changed, 'model.safetensors'), 'r+');
  const { size } = await file.stat();
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, size - 5);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, size - 5);
  await file.close();
  const places = join(folder, 'corrupted');
  await mkdir(places);
  const error = errorOf(await pull(['--server', address, '--model-name', 'changed', ...tcp, '--out', join(places, 'out')]), 5);
  assert.equal(error.code, 'ERR_CHECKSUM_MISMATCH');
  assert.match(error.message, /1 of 339 tensors/);
  assert.deepEqual(await readdir(places), []);
  // Cut short under its mapping: the seed lives on, and the target gets an error.
  await truncate(join(changed, 'model.safetensors'), size - 4096 * 16);
  const cut = await pull(['--server', address, '--model-name', 'changed', ...tcp, '--discard']);
  assert.notEqual(cut.code, 0);
  assert.equal(role.process.exitCode, null, 'the seed lives on');
  await role.stop();
  await server.stop();
});

test('a full disk is found before the wire is used, and nothing is left', async (t) => {
  const { role: server, address } = await serve();
  const { role } = await seed(model, ['--server', address, '--model-name', 'm', ...tcp]);
  const places = join(folder, 'full');
  await mkdir(places);
  const mount = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount -t tmpfs -o size=1m none "$0" && "$@"; code=$?; ls -A "$0" | sed "s/^/left: /" >&2; exit $code',
    places,
  ];
  const ended = await pull(['--server', address, '--model-name', 'm', ...tcp, '--out', join(places, 'out')], { prefix: mount });
  if (/unshare|mount:/.test(ended.stderr)) {
    t.skip(`no right to mount here: ${ended.stderr}`);
  } else {
    const error = errorOf(ended, 7);
    assert.equal(error.code, 'ERR_DISK_FULL');
    assert.match(error.message, /bytes.*free/);
    assert.doesNotMatch(ended.stderr, /^left: /m);
  }
  await role.stop();
  await server.stop();
});

test('memory that the host does not have is refused before the wire is used', async (t) => {
  const { role: server, address } = await serve();
  const { role } = await seed(model, ['--server', address, '--model-name', 'm', ...tcp]);
  const ended = await pull(['--server', address, '--model-name', 'm', ...tcp, '--shm', `weightcast-oom-${String(process.pid)}`], {
    prefix: [
      'unshare',
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs -o size=1m none /dev/shm && "$0" "$@"; code=$?; ls -A /dev/shm | sed "s/^/left: /" >&2; exit $code',
    ],
  });
  if (/unshare|mount:/.test(ended.stderr)) {
    t.skip(`no right to mount here: ${ended.stderr}`);
  } else {
    const error = errorOf(ended, 7);
    assert.equal(error.code, 'ERR_OUT_OF_MEMORY');
    assert.doesNotMatch(ended.stderr, /^left: /m);
  }
  await role.stop();
  await server.stop();
});

test('Ctrl-C at any moment of a pull leaves nothing', async () => {
  const { role: server, address } = await serve();
  const { role } = await seed(model, ['--server', address, '--model-name', 'm', ...tcp]);
  const places = join(folder, 'interrupted');
  await mkdir(places);
  for (const delay of [0, 150, 250, 300, 350, 400, 450, 500]) {
    const target = new Role([
      'pull',
      '--server',
      address,
      '--model-name',
      'm',
      ...tcp,
      '--connections',
      '1',
      '--slice-bytes',
      '4096',
      '--out',
      join(places, `out${String(delay)}`),
    ]);
    await sleep(delay);
    const ended = await target.stop('SIGINT');
    assert.ok([0, 130].includes(ended.code), `exit code ${String(ended.code)}: ${ended.stderr}`);
  }
  assert.deepEqual(
    (await readdir(places)).filter((name) => name.startsWith('.')),
    [],
  );
  const waiting = new Role(['pull', '--server', address, '--model-name', 'absent', '--wait', '60', '--discard']);
  await sleep(1000);
  const started = performance.now();
  assert.equal((await waiting.stop('SIGTERM')).code, 143);
  assert.ok(performance.now() - started < 2000);
  await role.stop();
  await server.stop();
});

test('safetensors files that lie are refused by the seed, which names what is wrong', async () => {
  const header = (json: string, data = 0): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(json)));
    return Buffer.concat([length, Buffer.from(json), Buffer.alloc(data)]);
  };
  const { role: server, address } = await serve();
  const huge = Buffer.alloc(16);
  huge.writeBigUInt64LE(1n << 30n);
  const files: [string, Buffer, RegExp][] = [
    ['cut', header('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', 8), /cut short|ends|bytes/i],
    [
      'overlap',
      header('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', 6),
      /overlap|gap|begins/i,
    ],
    ['gigabyte', huge, /header/],
    ['garbage', randomBytes(10_000), /header|safetensors/],
  ];
  for (const [name, bytes, pattern] of files) {
    const path = join(folder, `${name}.safetensors`);
    await writeFile(path, bytes);
    const error = errorOf(await new Role(['seed', path, '--server', address, '--model-name', 'm', ...tcp]).ended, 5);
    assert.equal(error.code, 'ERR_MODEL_INVALID', error.message);
    assert.match(error.message, pattern);
    assert.match(error.message, new RegExp(name));
  }
  await server.stop();
});

test('garbage on every listening port ends that connection only', async () => {
  const { role: server, address } = await serve();
  const { role, ready } = await seed(model, ['--server', address, '--model-name', 'm', ...tcp]);
  const ports = await listeningPorts(role.process.pid ?? 0);
  assert.ok(ports.length >= 3, `handshake, TCP reads and gRPC: ${ports.join(', ')}`);
  assert.ok(ports.includes(Number(String(ready['sessionId']).split(':').at(-1))));
  const hello = Buffer.from('16030100f8010000f40303', 'hex');
  for (const port of [...ports, Number(address.split(':').at(-1))]) {
    for (const bytes of [randomBytes(10_000), Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), Buffer.concat([hello, randomBytes(240)])]) {
      const socket = connect(port, '127.0.0.1');
      // A reset is the answer that garbage deserves.
      const gone = new Promise<void>((resolve) =>
        socket
          .on('error', () => undefined)
          .on('close', () => {
            resolve();
          }),
      );
      socket.on('connect', () => socket.write(bytes));
      await Promise.race([gone, sleep(200)]);
      socket.destroy();
    }
  }
  assert.equal(role.process.exitCode, null);
  assert.equal(server.process.exitCode, null);
  assert.equal(summaryOf(await pull(['--server', address, '--model-name', 'm', ...tcp, '--discard'])).tensors, 339);
  await role.stop();
  await server.stop();
});

test('a seed that was killed, but is still listed, is said to be gone', async () => {
  const { role: server, address } = await serve();
  const { role, ready } = await seed(model, ['--server', address, '--model-name', 'm', ...tcp]);
  const client = new MetadataClient(address);
  const found = await client.getMetadata(String(ready['sourceId']), String(ready['workerId']));
  assert.equal(found?.worker.status, SourceStatus.SOURCE_STATUS_READY);
  client.close();
  await role.stop('SIGKILL');
  const error = errorOf(await pull(['--server', address, '--model-name', 'm', ...tcp, '--discard']), 3);
  assert.equal(error.code, 'ERR_SOURCE_GONE', error.message);
  assert.match(error.message, /127\.0\.0\.1/);
  await server.stop();
});

/** TCP ports that a process listens on, from /proc. */
async function listeningPorts(pid: number): Promise<number[]> {
  const inodes = new Set<string>();
  for (const entry of await readdir(`/proc/${String(pid)}/fd`)) {
    const match = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${String(pid)}/fd/${entry}`).catch(() => ''));
    if (match?.[1] !== undefined) inodes.add(match[1]);
  }
  const ports = new Set<number>();
  for (const table of ['tcp', 'tcp6']) {
    for (const line of (await readFile(`/proc/${String(pid)}/net/${table}`, 'utf8')).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === '0A' && inodes.has(fields[9] ?? '')) ports.add(Number.parseInt(fields[1]?.split(':')[1] ?? '', 16));
    }
  }
  return [...ports];
}

/** Ways to fail that need real verbs: each has its own code, in time, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, open, readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRails } from '#src/rails.js';
import { Region } from '#src/region.js';
import { seedTensors } from '#src/seed/index.js';
import { pull as pullHere } from '#src/target/index.js';
import { WeightcastError } from '#src/errors.js';
import { startServer } from '../../support/cluster.js';
import { qwen } from '../../support/fixtures.js';
import { errorOf, pull, Role, seed, serve, summaryOf } from '../../support/roles.js';

const rdma = ['--transport', 'rdma', '--host', '127.0.0.1'];
/** Root has CAP_IPC_LOCK, to which the limit does not apply: it is taken away first. */
const littleMemlock = ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', 'prlimit', '--memlock=65536:65536'];

test('a seed killed while it is read: an error within two seconds, and no file', async () => {
  const { role: server, address } = await serve();
  const { role } = await seed(qwen, ['--server', address, '--model-name', 'm', '--no-checksums', ...rdma]);
  const places = await mkdtemp('/tmp/weightcast-killed-');
  // Small reads, two at a time, so that there is a middle to be killed in.
  const target = new Role([
    ...['pull', '--server', address, '--model-name', 'm', ...rdma, '--no-verify', '--slice-bytes', '4096'],
    ...['--out', join(places, 'out')],
  ]);
  while ((await readdir(places)).length === 0) await sleep(5);
  const sent = '/sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts';
  const packets = async (): Promise<number> => {
    const file = await open(sent);
    const text = await file.readFile('utf8');
    await file.close();
    return Number(text);
  };
  const before = await packets();
  while ((await packets()) < before + 500) await sleep(1);
  const killed = performance.now();
  role.process.kill('SIGKILL');
  const ended = await target.ended;
  const elapsed = performance.now() - killed;
  const error = errorOf(ended, 8);
  assert.equal(error.code, 'ERR_PEER_LOST', error.message);
  assert.ok(elapsed < 2000, `${elapsed.toFixed(0)} ms after the seed was killed`);
  assert.deepEqual(await readdir(places), []);
  await server.stop();
});

test('a byte flipped at the seed after it published is found by the target', async () => {
  const server = await startServer();
  const shared = { identity: { modelName: 'flipped' }, server: server.address, host: '127.0.0.1', transport: 'rdma' } as const;
  const region = await Region.allocate(8n << 20n);
  const half = { region, byteLength: 4n << 20n };
  await using _seed = await seedTensors(
    [
      { name: 'first', dtype: 'BF16', data: { ...half, offset: 0n } },
      { name: 'second', dtype: 'BF16', data: { ...half, offset: 4n << 20n } },
    ],
    shared,
  );
  region.view((4n << 20n) + 777n, 1)[0] = 1;
  await assert.rejects(
    async () => pullHere({ ...shared, into: { kind: 'memory' } }),
    (error) => {
      assert.ok(error instanceof WeightcastError);
      assert.equal(error.code, 'ERR_CHECKSUM_MISMATCH');
      assert.equal(error.tensor, 'second');
      return true;
    },
  );
});

test('a memory lock limit that is too low is named with its value and its cure; auto serves and reads TCP and says why', async () => {
  const { role: server, address } = await serve();
  const base = ['--server', address, '--model-name', 'm', '--host', '127.0.0.1'];
  const refused = errorOf(await new Role(['seed', qwen, ...base, '--transport', 'rdma'], { prefix: littleMemlock }).ended, 7);
  assert.equal(refused.code, 'ERR_MEMLOCK_LIMIT', refused.message);
  assert.match(refused.message, /65536|64 KiB|memlock/i);
  const role = new Role(['seed', qwen, ...base, '--transport', 'auto', '--no-local'], { prefix: littleMemlock });
  const ready = await role.next();
  assert.deepEqual(ready['transports'], ['tcp']);
  assert.match(String(ready['transportReason']), /memlock|lock/i);
  const tcp = summaryOf(await pull([...base, '--discard']));
  assert.equal(tcp.transport, 'tcp');
  await role.stop();
  const healthy = await seed(qwen, [...base, '--transport', 'rdma']);
  const target = errorOf(await pull([...base, '--transport', 'rdma', '--discard'], { prefix: littleMemlock }), 7);
  assert.equal(target.code, 'ERR_MEMLOCK_LIMIT', target.message);
  await healthy.role.stop();
  const both = await seed(qwen, [...base, '--transport', 'auto', '--no-local']);
  const fallen = summaryOf(await pull([...base, '--transport', 'auto', '--discard'], { prefix: littleMemlock }));
  assert.equal(fallen.transport, 'tcp');
  assert.match(fallen.transportReason, /memlock|lock/i);
  await both.role.stop();
  await server.stop();
});

test('an RDMA device that is not here is named, with those that are', async () => {
  await assert.rejects(
    openRails({ transport: 'auto', devices: ['rxe0', 'mlx5_7'] }),
    (error) => error instanceof WeightcastError && error.code === 'ERR_DEVICE_NOT_FOUND' && /mlx5_7.*rxe0, rxe1/.test(error.message),
  );
});

test('Ctrl-C in a pull by RDMA leaves nothing, and the seed serves on', async () => {
  const { role: server, address } = await serve();
  const copy = join(await mkdtemp('/tmp/weightcast-model-'), 'model');
  await cp(qwen, copy, { recursive: true });
  const { role, ready } = await seed(copy, ['--server', address, '--model-name', 'm', ...rdma]);
  const places = await mkdtemp('/tmp/weightcast-interrupted-');
  for (const delay of [0, 400]) {
    const out = join(places, String(delay));
    await mkdir(out);
    const target = new Role([
      'pull',
      '--server',
      address,
      '--model-name',
      'm',
      ...rdma,
      '--slice-bytes',
      '8192',
      '--out',
      join(out, 'copy'),
    ]);
    while ((await readdir(out)).length === 0) await sleep(5);
    await sleep(delay);
    assert.equal((await target.stop('SIGINT')).code, 130);
    assert.deepEqual(await readdir(out), []);
  }
  const port = Number(String(ready['sessionId']).split(':').at(-1));
  for (const bytes of [randomBytes(10_000), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from('16030100f8010000f40303', 'hex')]) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.on('connect', () => socket.end(bytes));
    await sleep(100);
    socket.destroy();
  }
  assert.equal(summaryOf(await pull(['--server', address, '--model-name', 'm', ...rdma, '--discard'])).transport, 'rdma');
  await role.stop();
  await server.stop();
});

/** `weightcast serve --store durable`, killed and started again: nobody has to publish again. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { Publisher } from '#src/metadata/publisher.js';
import { eventually } from '../../support/eventually.js';
import { Role } from '../../support/roles.js';
import { connect, identity, memoryLogger, tensors, worker } from './support.js';

const { SOURCE_STATUS_READY: READY, SOURCE_STATUS_INITIALIZING: INITIALIZING } = SourceStatus;

async function folderOf(test: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weightcast-durable-'));
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** With `--http-port 0` and `--metrics-port 0`: none. */
async function serveDurable(folder: string, listen = '127.0.0.1:0'): Promise<{ role: Role; address: string }> {
  const ports = ['--listen', listen, '--http-port', '0', '--metrics-port', '0'];
  const role = new Role(['serve', ...ports, '--store', 'durable', '--store-path', folder]);
  return { role, address: String((await role.next())['address']) };
}

it('a killed server comes back with every publication that it had acknowledged', async (test) => {
  const folder = await folderOf(test);
  const first = await serveDurable(folder);
  const acknowledged = new Map<string, string>();
  let killed: Promise<unknown> | undefined;
  const publishForEver = async (lane: number): Promise<void> => {
    const client = connect(test, first.address, 5000);
    for (let index = lane; ; index += 8) {
      const workerId = `w${String(index)}`;
      const request = { identity, worker: worker({ workerRank: index, tensors: tensors(200) }), workerId };
      acknowledged.set(workerId, await client.publish(request));
      // The other lanes are in the middle of theirs.
      if (acknowledged.size >= 100) killed ??= first.role.stop('SIGKILL');
    }
  };
  await Promise.allSettled(Array.from({ length: 8 }, (_, lane) => publishForEver(lane)));
  assert.ok(killed, 'publications failed before the server was killed');
  await killed;
  const second = await serveDurable(folder, first.address);
  const client = connect(test, second.address);
  for (const [workerId, sourceId] of acknowledged) {
    const found = await client.getMetadata(sourceId, workerId);
    assert.equal(found?.worker.tensors.length, 200, `${workerId} was acknowledged`);
  }
  assert.equal((await second.role.stop()).code, 143);
});

it('a source keeps READY over a restart of its server, and does not publish again', async (test) => {
  const folder = await folderOf(test);
  const first = await serveDurable(folder);
  const client = connect(test, first.address);
  const logger = memoryLogger();
  let published = 0;
  const publish = client.publish.bind(client);
  client.publish = (...args) => {
    published++;
    return publish(...args);
  };
  const record = worker({ tensors: tensors(100), status: INITIALIZING, topology: { rack: 'r1' } });
  const publisher = await Publisher.start({ client, identity, worker: record, workerId: 'w', heartbeatIntervalMs: 100, logger });
  test.after(() => publisher.stop());
  const listed = async () => (await client.listSources({ identity, statusFilter: READY }))[0];
  const before = await listed();
  assert.ok(before);
  await first.role.stop('SIGKILL');
  const second = await serveDurable(folder, first.address);
  const fresh = connect(test, second.address);
  const [after] = await fresh.listSources({ identity, statusFilter: READY });
  assert.deepEqual({ ...after, updatedAt: 0n }, { ...before, updatedAt: 0n });
  assert.ok(after!.updatedAt >= before.updatedAt);
  await eventually('heartbeat', async () => {
    const now = await listed().catch(() => undefined);
    return now !== undefined && now.updatedAt > after!.updatedAt ? true : undefined;
  });
  assert.equal(published, 1);
  await publisher.stop();
  assert.equal((await second.role.stop()).code, 143);
});

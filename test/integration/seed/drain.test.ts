/** The end of a seed that is being read. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MetadataClient, pull, seedTensors, SourceStatus, WeightcastError } from '#src/index.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { generateModel } from '#src/model/generate.js';
import { qwen2_5_7b } from '#src/model/shapes/index.js';
import { byteTensors, startServer, temporaryFolder } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { seed, serve } from '../../support/roles.js';

const folder = await temporaryFolder();
const model = join(folder, 'model');
await generateModel(model, qwen2_5_7b({ scale: 12 }), { maxFileBytes: 64e6 });
const wire = ['--transport', 'tcp', '--host', '127.0.0.1', '--manifest', 'worker'];

/** A server and a seed, each a process, and a client of the former. */
async function cluster(test: { after(done: () => void): void }, modelName: string, args: readonly string[] = []) {
  const { address } = await serve();
  const { role, ready } = await seed(model, ['--server', address, '--model-name', modelName, ...wire, ...args]);
  const client = new MetadataClient(address);
  const worker = new WorkerClient(String(ready['workerEndpoint']));
  test.after(() => {
    client.close();
    worker.close();
  });
  const [sourceId, workerId] = [String(ready['sourceId']), String(ready['workerId'])];
  const stale = (): Promise<true> =>
    eventually('STALE', async () => {
      const found = await client.getMetadata(sourceId, workerId);
      return found?.worker.status === SourceStatus.SOURCE_STATUS_STALE ? true : undefined;
    });
  return { address, role, worker, sourceId, workerId, stale };
}

describe('SIGTERM', () => {
  test('lets a target that reads finish: STALE first, no new reader, the end after the last byte', async (t) => {
    const { address, role, worker, sourceId, workerId, stale } = await cluster(t, 'drained');
    const running = pull({
      identity: { modelName: 'drained' },
      server: address,
      into: { kind: 'memory' },
      transport: 'tcp',
      host: '127.0.0.1',
      // Tens of thousands of small reads, one after the other: slow enough to be in the middle of.
      sliceBytes: 4096,
      connections: 1,
    });
    let sawBytes: (() => void) | undefined;
    const reading = new Promise<void>((resolve) => (sawBytes = resolve));
    const watching = (async () => {
      for await (const { phase, bytes } of running) if (phase === 'wire' && bytes > 0n) sawBytes?.();
    })();
    await reading;
    role.process.kill('SIGTERM');
    await stale();
    await assert.rejects(worker.prepareTensorRead(sourceId, workerId), {
      code: 'ERR_SOURCE_GONE',
      grpcMessage: 'tensor source is draining',
    });
    const result = await running;
    await watching;
    assert.equal(result.verified?.bytes, result.bytes);
    assert.ok(result.output.kind === 'memory');
    result.output.region.close();
    const { code, stderr, printed } = await role.ended;
    assert.equal(code, 143);
    assert.match(stderr, /waiting for targets that still read/);
    assert.doesNotMatch(stderr, /their reads fail now/);
    assert.equal(printed.at(-1)?.['event'], 'stopped');
  });

  test('a second time ends the seed at once', async (t) => {
    const { role, worker, sourceId, workerId, stale } = await cluster(t, 'impatient', ['--drain', '600']);
    assert.ok(await worker.prepareTensorRead(sourceId, workerId));
    role.process.kill('SIGTERM');
    await stale();
    const { code, printed } = await role.stop('SIGTERM');
    assert.equal(code, 143);
    assert.equal(printed.at(-1)?.['event'], 'ready', 'it did not finish in order');
  });
});

test('a seed waits no longer than it was told', async (t) => {
  const server = await startServer();
  const warnings: string[] = [];
  const seeded = await seedTensors(byteTensors([100]), {
    identity: { modelName: 'm' },
    server: server.address,
    transport: 'tcp',
    host: '127.0.0.1',
    drainTimeoutMs: 50,
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
      error: () => undefined,
    },
  });
  const { sourceId, workerId, workerEndpoint } = seeded.summary;
  const worker = new WorkerClient(workerEndpoint);
  t.after(() => worker.close());
  for (let lease = 0; lease < 2; lease++) assert.ok(await worker.prepareTensorRead(sourceId, workerId));
  await seeded.close();
  assert.deepEqual(warnings, [
    'waiting for targets that still read {"readers":2,"timeoutMs":50}',
    'targets still read; their reads fail now {"readers":2}',
  ]);
  await assert.rejects(worker.tensorManifest(sourceId, workerId), (error) => error instanceof WeightcastError);
});

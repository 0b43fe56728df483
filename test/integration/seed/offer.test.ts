/** What a seed offers, and through whom: manifests, the endpoint's certificates, what the environment adds. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MetadataClient, pull, type Seed, seedTensors, type SeedOptions } from '#src/index.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { generateModel } from '#src/model/generate.js';
import { smallTensors } from '#src/model/shapes/index.js';
import { Authority } from '../../support/certificates.js';
import { byteTensors, startServer, temporaryFolder } from '../../support/cluster.js';
import { seed as seedProcess, serve } from '../../support/roles.js';

const tensors = byteTensors([1, 4096, 70_001]);
const folder = await temporaryFolder();

function start(server: string, options: Partial<SeedOptions> = {}): Promise<Seed> {
  return seedTensors(tensors, { identity: { modelName: 'm' }, server, transport: 'tcp', host: '127.0.0.1', ...options });
}

async function recordOf(server: string, { summary }: Seed) {
  await using client = new MetadataClient(server);
  const found = await client.getMetadata(summary.sourceId, summary.workerId);
  assert.ok(found);
  return found.worker;
}

async function pullFrom(server: string, options: object = {}) {
  const result = await pull({
    identity: { modelName: 'm' },
    server,
    into: { kind: 'discard' },
    transport: 'tcp',
    host: '127.0.0.1',
    ...options,
  });
  assert.equal(result.verified?.tensors, tensors.length);
}

describe('a manifest', () => {
  test('is in the record by default, beside the endpoint', async () => {
    const server = await startServer();
    await using seed = await start(server.address, { accelerator: 'cuda', topology: { rack: 'r3' } });
    assert.deepEqual([seed.summary.manifest, seed.summary.notes], ['central', []]);
    const { tensors: listed, workerGrpcEndpoint, backendMetadata, accelerator, topology } = await recordOf(server.address, seed);
    assert.deepEqual(
      listed.map(({ name }) => name),
      tensors.map(({ name }) => name),
    );
    assert.equal(workerGrpcEndpoint, seed.summary.workerEndpoint);
    assert.deepEqual(backendMetadata, { $case: 'transferEngineSessionId', value: seed.summary.sessionId });
    assert.deepEqual([accelerator, topology], ['cuda', { rack: 'r3' }]);
    await pullFrom(server.address);
  });

  test('that the worker serves is not in the record; targets ask the worker', async () => {
    const server = await startServer();
    await using seed = await start(server.address, { manifest: 'worker' });
    assert.equal(seed.summary.manifest, 'worker');
    const { tensors: listed, workerGrpcEndpoint, backendMetadata } = await recordOf(server.address, seed);
    assert.deepEqual(listed, []);
    assert.equal(workerGrpcEndpoint, seed.summary.workerEndpoint);
    assert.equal(backendMetadata?.$case, 'transferEngineSessionId');
    await pullFrom(server.address);
  });
});

test('an endpoint with certificates is published as https:// and lets in whom its authority knows', async () => {
  const authority = new Authority('test authority');
  const write = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, text);
    return file;
  };
  const own = authority.issue({ commonName: 'worker', names: ['127.0.0.1'] });
  const caFile = await write('ca.pem', authority.cert);
  const files = { certFile: await write('own.pem', own.cert), keyFile: await write('own.key', own.key) };
  const tls = { ...files, clientCaFile: caFile };
  await using server = await MetadataServer.listen({ listen: '127.0.0.1:0', tls: files });
  const security = { tls: { caFile } };
  await using seed = await start(server.address, { security, workerTls: tls, manifest: 'worker' });
  assert.match(seed.summary.workerEndpoint, /^https:\/\/127\.0\.0\.1:\d+$/);
  await pullFrom(server.address, { security: { tls: { caFile, ...files } } });
  await assert.rejects(pullFrom(server.address, { security }), { code: 'ERR_TLS' });
});

test('a TLS endpoint without a usable certificate is an error, and nothing stays published', async () => {
  const server = await startServer();
  const workerTls = { certFile: join(folder, 'none.pem'), keyFile: join(folder, 'none.key') };
  await assert.rejects(start(server.address, { workerTls }), { code: 'ERR_TLS' });
  await using client = new MetadataClient(server.address);
  assert.deepEqual(await client.listSources({}), []);
});

test('options that make no sense are refused', async () => {
  for (const options of [{ workerPort: 65_536 }, { workerPort: -1 }, { drainTimeoutMs: -1 }, { drainTimeoutMs: Number.NaN }]) {
    await assert.rejects(start('127.0.0.1:1', options), { code: 'ERR_INVALID_ARGUMENT' });
  }
});

test('the command takes the environment of a ModelExpress worker, and flags before it', async (t) => {
  const model = join(folder, 'small');
  await generateModel(model, smallTensors({ count: 3, bytes: 64 }));
  const { address } = await serve();
  const engine = createServer((_request, response) => response.end('sglang:token_usage{model_name="m"} 0.5\n'));
  await new Promise<void>((done) => engine.listen(0, '127.0.0.1', done));
  t.after(() => engine.close());
  const args = ['--server', address, '--model-name', 'm', '--transport', 'tcp'];
  const env = {
    MX_P2P_METADATA: '1',
    MX_WORKER_HOST: '127.0.0.1',
    MX_MODEL_REVISION: 'r1',
    MX_SOURCE_DOMAIN: ' blue ',
    MX_P2P_TOPOLOGY: '{"rack":"r3"}',
    MX_P2P_RUNTIME_METRICS_URL: `http://127.0.0.1:${String((engine.address() as AddressInfo).port)}/metrics`,
    POD_NAME: 'p',
  };
  const { role, ready } = await seedProcess(model, args, env);
  assert.equal(ready['manifest'], 'worker');
  assert.match(String(ready['workerEndpoint']), /^127\.0\.0\.1:/);
  await using client = new MetadataClient(address);
  const found = await client.getMetadata(String(ready['sourceId']), String(ready['workerId']));
  assert.deepEqual([found?.identity?.revision, found?.identity?.extraParameters], ['r1', { source_domain: 'blue' }]);
  const [listed] = await client.listSources({ modelNameFilter: 'm' });
  assert.deepEqual([listed?.topology, listed?.sourceLoad], [{ rack: 'r3' }, 0.5]);
  await role.stop();

  const flags = ['--manifest', 'central', '--revision', 'r2', '--accelerator', 'cuda', '--host', '127.0.0.1'];
  const second = await seedProcess(model, [...args, ...flags], { ...env, MX_WORKER_HOST: '192.0.2.1' });
  assert.equal(second.ready['manifest'], 'central');
  const other = await client.getMetadata(String(second.ready['sourceId']), String(second.ready['workerId']));
  assert.deepEqual([other?.identity?.revision, other?.worker.accelerator, other?.worker.tensors.length], ['r2', 'cuda', 3]);
  await second.role.stop();
});

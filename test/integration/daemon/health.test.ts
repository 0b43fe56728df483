/** What a server says of itself: ModelExpress' health and ping, grpc.health.v1, reflection. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  credentials,
  loadPackageDefinition,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { ApiServiceService } from '#src/gen/model_express/api.js';
import { HealthServiceService } from '#src/gen/model_express/health.js';
import { healthService } from '#src/metadata/server/health-service.js';
import { GrpcEndpoint } from '#src/rpc/endpoint.js';
import { silentLogger } from '#src/observe/logger.js';
import { packageVersion } from '#src/version.js';
import { runCli } from '../../support/cli.js';
import { call, connectRaw, startServer, unusedPort } from '../metadata/support.js';

const served = [
  'model_express.p2p.P2pService',
  'model_express.health.HealthService',
  'model_express.api.ApiService',
  'weightcast.v1.TransferService',
];

describe('HealthService', () => {
  it('answers with the version, ok, and whole seconds since the first call', async (test) => {
    let now = 5000;
    const services = [healthService('1.2.3', () => now)];
    const endpoint = await GrpcEndpoint.open({ address: { host: '127.0.0.1', port: 0 }, services, logger: silentLogger });
    test.after(() => endpoint.close(0));
    const client = connectRaw(test, `127.0.0.1:${String(endpoint.port)}`);
    const ask = (): Promise<unknown> => call(client, HealthServiceService.getHealth, {});
    assert.deepEqual(await ask(), { version: '1.2.3', status: 'ok', uptime: 0n });
    now += 2999;
    assert.deepEqual(await ask(), { version: '1.2.3', status: 'ok', uptime: 2n });
  });

  it('of the server has the version of the package', async (test) => {
    const client = connectRaw(test, (await startServer(test)).address);
    assert.deepEqual(await call(client, HealthServiceService.getHealth, {}), { version: packageVersion(), status: 'ok', uptime: 0n });
  });
});

describe('ApiService', () => {
  it('answers ping, and nothing else', async (test) => {
    const client = connectRaw(test, (await startServer(test)).address);
    const pong = await call(client, ApiServiceService.sendRequest, { id: '1', action: 'ping', payload: undefined });
    assert.deepEqual(pong, { success: true, data: Buffer.from('{"message":"pong"}'), error: undefined });
    const other = await call(client, ApiServiceService.sendRequest, { id: '2', action: 'Ping', payload: Buffer.from('x') });
    assert.deepEqual(other, { success: false, data: undefined, error: 'Unknown action: Ping' });
  });
});

interface HealthClient {
  check(request: { service: string }, answer: (error: { code: number } | null, reply?: { status: string }) => void): void;
  watch(request: { service: string }): ClientReadableStream<{ status: string }>;
  close(): void;
}

/** A client made from the standard's own proto file, with nothing of ours in it. */
function clientOf(file: string, service: string, address: string): unknown {
  let at: unknown = loadPackageDefinition(loadSync(file, { enums: String, defaults: true, oneofs: true }));
  for (const part of service.split('.')) at = (at as Record<string, unknown>)[part];
  return new (at as ServiceClientConstructor)(address, credentials.createInsecure());
}

const healthOf = (address: string): HealthClient => clientOf(protoPath, 'grpc.health.v1.Health', address) as HealthClient;

function check(client: HealthClient, service: string): Promise<string> {
  return new Promise((done) => {
    client.check({ service }, (error, reply) => {
      done(error === null ? (reply?.status ?? '') : `gRPC ${String(error.code)}`);
    });
  });
}

describe('grpc.health.v1', () => {
  it('is SERVING for every service, and NOT_FOUND for others', async (test) => {
    const client = healthOf((await startServer(test)).address);
    test.after(() => client.close());
    for (const service of ['', ...served]) assert.equal(await check(client, service), 'SERVING', service);
    assert.equal(await check(client, 'model_express.model.ModelService'), 'gRPC 5');
  });

  it('is NOT_SERVING while the server drains, and those who watch hear of it and do not hold the end up', async (test) => {
    const server = await startServer(test);
    const client = healthOf(server.address);
    test.after(() => client.close());
    const watch = (service: string): { seen: string[]; next: () => Promise<string> } => {
      const seen: string[] = [];
      const stream = client.watch({ service });
      stream.on('error', () => undefined);
      return { seen, next: () => new Promise((done) => stream.once('data', ({ status }: { status: string }) => done(status))) };
    };
    const known = watch('model_express.p2p.P2pService');
    assert.equal(await known.next(), 'SERVING');
    const unknown = watch('nobody');
    assert.equal(await unknown.next(), 'SERVICE_UNKNOWN');
    const change = known.next();
    server.drain();
    assert.equal(await change, 'NOT_SERVING');
    assert.equal(await check(client, ''), 'NOT_SERVING');
    // Two streams are open: a grace of an hour must not be waited for.
    const closed = server.close(3_600_000).then(() => 'closed');
    assert.equal(await Promise.race([closed, sleep(20_000, 'still open', { ref: false })]), 'closed');
  });

  it('is what `weightcast health` asks', async (test) => {
    const server = await startServer(test);
    const good = await runCli(['health', '--server', server.address, '--json']);
    assert.deepEqual([good.code, good.json], [0, [{ server: server.address, service: '', status: 'SERVING' }]]);
    server.drain();
    const draining = await runCli(['health', '--server', server.address, '--service', 'model_express.p2p.P2pService']);
    assert.deepEqual([draining.code, draining.stdout], [4, `${server.address} model_express.p2p.P2pService: NOT_SERVING\n`]);
    const gone = await runCli(['health', '--server', `127.0.0.1:${String(await unusedPort())}`]);
    assert.equal(gone.code, 4);
    assert.match(gone.stderr, /ERR_SERVER_UNREACHABLE: cannot check the health/);
  });
});

interface ReflectionReply {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

describe('reflection', () => {
  const require = createRequire(import.meta.url);
  const protos = join(dirname(require.resolve('@grpc/reflection')), '../proto/grpc/reflection');

  for (const version of ['v1', 'v1alpha']) {
    it(`by ${version} names the services and describes their messages`, async (test) => {
      const { address } = await startServer(test);
      const file = join(protos, version, 'reflection.proto');
      interface ReflectionClient {
        serverReflectionInfo(): ClientDuplexStream<object, ReflectionReply>;
        close(): void;
      }
      const client = clientOf(file, `grpc.reflection.${version}.ServerReflection`, address) as ReflectionClient;
      test.after(() => client.close());
      const stream = client.serverReflectionInfo();
      stream.on('error', () => undefined);
      const ask = (request: object): Promise<ReflectionReply> =>
        new Promise((done) => {
          stream.once('data', done);
          stream.write(request);
        });

      const names = (await ask({ listServices: '*' })).listServicesResponse?.service.map(({ name }) => name).sort();
      assert.deepEqual(names, [...served, 'grpc.health.v1.Health'].sort());
      const files = async (symbol: string): Promise<FileDescriptorProto[]> => {
        const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
        return (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
      };
      const [p2p] = await files('model_express.p2p.P2pService');
      assert.deepEqual(
        p2p?.service.find(({ name }) => name === 'P2pService')?.method.map(({ name }) => name),
        ['PublishMetadata', 'ListSources', 'GetMetadata', 'UpdateStatus'],
      );
      const worker = p2p.messageType.find(({ name }) => name === 'WorkerMetadata');
      assert.equal(worker?.field.find(({ name }) => name === 'worker_grpc_endpoint')?.number, 8);
      for (const service of served) assert.ok((await files(service)).length > 0, service);
      assert.equal((await ask({ fileContainingSymbol: 'no.Such' })).errorResponse?.errorCode, 5);
      stream.end();
    });
  }
});

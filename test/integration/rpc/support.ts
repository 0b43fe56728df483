/** Endpoints with a service of bytes, and clients of them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type ChannelCredentials,
  Client,
  type ClientUnaryCall,
  credentials,
  type handleUnaryCall,
  type ServiceDefinition,
  type ServiceError,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { GrpcEndpoint, type EndpointOptions, service } from '#src/rpc/endpoint.js';
import type { ServerTlsFiles } from '#src/security/tls-files.js';
import { Authority, type Pem } from '../../support/certificates.js';
import { memoryLogger } from '../metadata/support.js';

const same = (bytes: Buffer): Buffer => bytes;
const method = (name: string): ServiceDefinition[string] => ({
  path: `/test.Bytes/${name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

/** `Echo` answers with the request, `Size` with its size as text, `Make` with as many bytes as it is told, up to 16 MiB, `Hang` never. */
export const bytesDefinition = {
  Echo: method('Echo'),
  Size: method('Size'),
  Make: method('Make'),
  Hang: method('Hang'),
} satisfies ServiceDefinition;

type Handler = handleUnaryCall<Buffer, Buffer>;

const echo: Handler = (call, answer) => answer(null, call.request);
const size: Handler = (call, answer) => answer(null, Buffer.from(String(call.request.length)));
// One buffer for all replies, as a store hands out the same bytes again and again.
const stock = Buffer.alloc(16 * 2 ** 20, 7);
const make: Handler = (call, answer) => answer(null, stock.subarray(0, Number(call.request.toString())));
const hang: Handler = () => undefined;

export function bytesService(more: UntypedServiceImplementation = {}): EndpointOptions['services'][number] {
  return service(bytesDefinition, { Echo: echo, Size: size, Make: make, Hang: hang, ...more });
}

/** What is needed of a test's context. */
export type Cleanup = Pick<TestContext, 'after'>;

/** An endpoint on loopback with the service of bytes, closed with the test. */
export async function openEndpoint(
  test: Pick<TestContext, 'after'>,
  options: Partial<EndpointOptions> = {},
): Promise<{ endpoint: GrpcEndpoint; address: string; lines: string[] }> {
  const logger = memoryLogger();
  const address = { host: '127.0.0.1', port: 0 };
  const endpoint = await GrpcEndpoint.open({ address, services: [bytesService()], logger, ...options });
  test.after(() => endpoint.close(0));
  return { endpoint, address: `${address.host}:${String(endpoint.port)}`, lines: logger.lines };
}

/** A plain gRPC client, closed with the test. Every client has a connection of its own. */
export function bytesClient(
  test: Pick<TestContext, 'after'>,
  address: string,
  security: ChannelCredentials = credentials.createInsecure(),
  options: Record<string, string | number> = {},
): Client {
  const client = new Client(address, security, {
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 50,
    ...options,
  });
  test.after(() => {
    client.close();
  });
  return client;
}

/** One call; rejects with gRPC's own error. */
export function ask(client: Client, name: keyof typeof bytesDefinition, request: Buffer | string, timeoutMs = 20_000): Promise<Buffer> {
  return begin(client, name, request, timeoutMs).reply;
}

/** One call that can be cancelled. */
export function begin(
  client: Client,
  name: keyof typeof bytesDefinition,
  request: Buffer | string,
  timeoutMs = 20_000,
): { call: ClientUnaryCall; reply: Promise<Buffer> } {
  let call: ClientUnaryCall | undefined;
  const reply = new Promise<Buffer>((done, failed) => {
    const answered = (error: ServiceError | null, bytes?: Buffer): void => {
      if (error === null) done(bytes as Buffer);
      else failed(error);
    };
    const path = bytesDefinition[name].path;
    call = client.makeUnaryRequest(path, same, same, Buffer.from(request), { deadline: Date.now() + timeoutMs }, answered);
  });
  return { call: call!, reply };
}

/** A folder that goes with the test. */
export async function folder(test: Cleanup): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'weightcast-rpc-'));
  test.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** An authority and a server certificate of it for loopback, in files. */
export async function serverFiles(
  test: Pick<TestContext, 'after'>,
  change: Partial<{ server: Pem; clientCa: string }> = {},
): Promise<{ authority: Authority; files: ServerTlsFiles; path: string }> {
  const authority = new Authority('Test Authority');
  const path = await folder(test);
  const server = change.server ?? authority.issue({ commonName: 'server', names: ['localhost', '127.0.0.1'] });
  const certFile = join(path, 'server.crt');
  const keyFile = join(path, 'server.key');
  await writeFile(certFile, server.cert);
  await writeFile(keyFile, server.key);
  if (change.clientCa === undefined) return { authority, files: { certFile, keyFile }, path };
  const clientCaFile = join(path, 'client-ca.crt');
  await writeFile(clientCaFile, change.clientCa);
  return { authority, files: { certFile, keyFile, clientCaFile }, path };
}

/** What a client trusts, and shows. */
export function tlsCredentials(trusted: string, own?: Pem): ChannelCredentials {
  if (own === undefined) return credentials.createSsl(Buffer.from(trusted));
  return credentials.createSsl(Buffer.from(trusted), Buffer.from(own.key), Buffer.from(own.cert));
}

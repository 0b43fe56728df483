/** Real servers and clients on loopback. */
import { createServer, type Server as NetServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { TestContext } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { type TensorDescriptor, WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { completeIdentity } from '#src/identity/index.js';
import { MetadataClient } from '#src/metadata/client.js';
import type { Method } from '#src/rpc/rpc-client.js';
import { MetadataServer, type MetadataServerOptions } from '#src/metadata/server/server.js';
import type { Logger } from '#src/observe/logger.js';

export const identity = completeIdentity({ modelName: 'Test/Model', tensorParallelSize: 2 });

export function worker(fields: Partial<WorkerMetadata> = {}): WorkerMetadata {
  return { ...WorkerMetadata.create(), ...fields };
}

/** Names as long as those of a large mixture-of-experts model; addresses above 2^53. */
export function tensors(count: number): TensorDescriptor[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `model.layers.${String(index % 61)}.mlp.experts.${String(index)}.down_proj.weight_scale_inv`,
    addr: (1n << 63n) + BigInt(index) * 4096n,
    size: 4096n,
    deviceId: 0,
    dtype: 'F8_E4M3',
  }));
}

/** A server on a free port, closed with the test. */
export async function startServer(test: TestContext, options: MetadataServerOptions = {}): Promise<MetadataServer> {
  const server = await MetadataServer.listen({ listen: '127.0.0.1:0', ...options });
  test.after(() => server.close(0));
  return server;
}

export function connect(test: TestContext, address: string, timeoutMs?: number): MetadataClient {
  const client = new MetadataClient(address, timeoutMs === undefined ? {} : { timeoutMs });
  test.after(() => {
    client.close();
  });
  return client;
}

/** A gRPC client without anything of ours between, and without limits. */
export function connectRaw(test: TestContext, address: string): Client {
  const options = { 'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1, 'grpc.enable_http_proxy': 0 };
  const client = new Client(address, credentials.createInsecure(), options);
  test.after(() => {
    client.close();
  });
  return client;
}

/** One unary call as a promise, of a method of a generated service definition. */
export function call<Request, Response>(client: Client, method: Method<Request, Response>, request: Request): Promise<Response> {
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((done, failed) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) => {
      if (error === null) done(response as Response);
      else failed(error);
    });
  });
}

/** Accepts connections and says nothing. */
export async function silentListener(test: TestContext): Promise<number> {
  const server: NetServer = createServer((socket) => {
    socket.on('error', () => undefined);
    test.after(() => socket.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  test.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A port of loopback on which nobody listens. */
export async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Runs `work` and says how long it took and how long it held the event loop at most. */
export async function measured<T>(work: () => Promise<T>): Promise<{ value: T; ms: number; longestBlockMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const value = await work();
  const ms = performance.now() - start;
  delay.disable();
  return { value, ms, longestBlockMs: delay.max / 1e6 };
}

/** Keeps what was logged. */
export function memoryLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const log =
    (level: string) =>
    (message: string, fields?: object): void => {
      lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
    };
  return { lines, debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}

/** Polls until `condition` holds; fails after `timeoutMs`. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not so after ${String(timeoutMs)} ms: ${condition.toString()}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

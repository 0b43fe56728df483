/** Start and end of `weightcast serve`, as processes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PublishMetadataRequest, PublishMetadataResponse } from '#src/gen/model_express/p2p.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { temporaryFolder } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { noRedis, TestRedis } from '../../support/redis.js';
import { errorOf, Role } from '../../support/roles.js';
import { connect, identity, unusedPort, worker } from '../metadata/support.js';
import { parseMetrics } from './openmetrics.js';
import { ask } from './support.js';

interface Served {
  readonly role: Role;
  readonly address: string;
  readonly http: string;
  readonly metrics: string;
}

async function serve(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Served> {
  const role = new Role(['serve', '--listen', '127.0.0.1:0', '--metrics-port', 'any', '--http-port', 'any', ...args], { env });
  const ready = (await role.next()) as { event: string; address: string; http: string; metrics: string };
  assert.equal(ready.event, 'ready');
  return { role, ...ready };
}

/** A publication of which the second half is not sent yet; the server has the first. */
async function halfPublished(
  test: TestContext,
  address: string,
): Promise<{ stream: ClientHttp2Stream; rest: Buffer; session: ClientHttp2Session }> {
  const session = connectHttp2(`http://${address}`);
  session.on('error', () => undefined);
  await once(session, 'connect');
  test.after(() => {
    session.destroy();
  });
  const message = Buffer.from(
    PublishMetadataRequest.encode({ ...PublishMetadataRequest.create(), identity, worker: worker(), workerId: 'w1' }).finish(),
  );
  const frame = Buffer.concat([Buffer.alloc(1), Buffer.alloc(4), message]);
  frame.writeUInt32BE(message.length, 1);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/model_express.p2p.P2pService/PublishMetadata',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  stream.write(frame.subarray(0, 20));
  // Its answer says that everything sent before it has arrived.
  await new Promise<void>((done, failed) => {
    session.ping((error) => {
      if (error === null) done();
      else failed(error);
    });
  });
  return { stream, rest: frame.subarray(20), session };
}

async function replyOf(stream: ClientHttp2Stream): Promise<{ status: unknown; reply: PublishMetadataResponse }> {
  const chunks: Buffer[] = [];
  let status: unknown;
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('trailers', (trailers: IncomingHttpHeaders) => {
    status = trailers['grpc-status'];
  });
  await new Promise((done) => stream.once('close', done));
  return { status, reply: PublishMetadataResponse.decode(Buffer.concat(chunks).subarray(5)) };
}

const readyz = async (http: string): Promise<string> => {
  const { status, body } = await ask(http, '/readyz');
  return `${String(status)} ${body.trim()}`;
};

describe('a signal', () => {
  it('lets a running call end, refuses new connections meanwhile, and the ports for people go last', async (test) => {
    const { role, address, http, metrics } = await serve(['--drain-grace', '30']);
    const { stream, rest } = await halfPublished(test, address);
    const reply = replyOf(stream);
    assert.equal(await readyz(http), '200 ready');
    role.process.kill('SIGTERM');
    await eventually('draining', async () => ((await readyz(http)) === '503 draining' ? true : undefined));
    assert.equal((await ask(http, '/livez')).status, 200);
    await eventually('refusal', () =>
      connect(test, address)
        .listSources({})
        .then(
          () => undefined,
          (error: unknown) => ((error as { code: string }).code === 'ERR_SERVER_UNREACHABLE' ? true : undefined),
        ),
    );
    assert.equal(parseMetrics((await ask(metrics, '/metrics')).body).value('weightcast_ready'), 0);
    stream.end(rest);
    const { status, reply: published } = await reply;
    assert.equal(status, '0');
    assert.equal(published.success, true, published.message);
    const ended = await role.ended;
    assert.equal(ended.code, 143);
    assert.equal(ended.printed.at(-1)?.['event'], 'stopped');
  });

  it('does not wait longer than the grace', async (test) => {
    const { role, address } = await serve(['--drain-grace', '0.2']);
    await halfPublished(test, address);
    assert.equal((await role.stop('SIGINT')).code, 130);
  });

  it('that comes again ends the process at once', async (test) => {
    const { role, address, http } = await serve(['--drain-grace', '3600']);
    await halfPublished(test, address);
    role.process.kill('SIGTERM');
    await eventually('draining', async () => ((await readyz(http)) === '503 draining' ? true : undefined));
    const ended = await role.stop('SIGTERM');
    assert.equal(ended.code, 143);
    assert.notEqual(ended.printed.at(-1)?.['event'], 'stopped');
  });

  it('is followed by the pre-stop delay, in which calls are answered', async (test) => {
    const { role, address, http } = await serve(['--pre-stop-delay', '1.5']);
    role.process.kill('SIGTERM');
    await eventually('draining', async () => ((await readyz(http)) === '503 draining' ? true : undefined));
    assert.deepEqual(await connect(test, address).listSources({}), []);
    assert.equal((await role.ended).code, 143);
  });

  it('to hang up ends nothing', async () => {
    const { role, http } = await serve();
    role.process.kill('SIGHUP');
    assert.equal(await readyz(http), '200 ready');
    const ended = await role.stop();
    assert.equal(ended.code, 143);
    assert.match(ended.stderr, /SIGHUP: certificates and tokens are read again when their files change/);
  });
});

describe('a store', () => {
  it('that hangs does not hold up the end longer than the grace', async () => {
    const never = new Promise<never>(() => undefined);
    class Hanging extends MemoryStore {
      override list(): Promise<never> {
        return never;
      }
      override publish(): Promise<never> {
        return never;
      }
    }
    const server = await MetadataServer.listen({ listen: '127.0.0.1:0', store: new Hanging() });
    const publishing = new Promise<string>((done) => {
      const client = connectHttp2(`http://${server.address}`);
      client.once('close', () => {
        done('closed');
      });
      client.on('error', () => undefined);
      client
        .request({
          ':method': 'POST',
          ':path': '/model_express.p2p.P2pService/ListSources',
          'content-type': 'application/grpc',
          te: 'trailers',
        })
        .on('error', () => undefined)
        .end(Buffer.alloc(5));
    });
    await server.close(100);
    assert.equal(await publishing, 'closed');
  });

  it('that cannot be opened ends the start, with its reason', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'file');
    await writeFile(file, '');
    const role = new Role([
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--metrics-port',
      '0',
      '--http-port',
      '0',
      '--store',
      'durable',
      '--store-path',
      file,
    ]);
    const error = errorOf(await role.ended, 4);
    assert.equal(error.code, 'ERR_STORE');
    assert.ok(error.message.includes(file), error.message);
  });

  it('that is durable outlives a server that is killed; no two servers share it', async (test) => {
    const args = ['--store', 'durable', '--store-path', join(await temporaryFolder(), 'store')];
    const first = await serve(args);
    const sourceId = await connect(test, first.address).publish({ identity, worker: worker(), workerId: 'w1' });
    const second = new Role(['serve', '--listen', '127.0.0.1:0', '--metrics-port', '0', '--http-port', '0', ...args]);
    assert.equal(errorOf(await second.ended, 4).code, 'ERR_STORE');
    await first.role.stop('SIGKILL');
    const { role, address } = await serve(args);
    assert.equal((await connect(test, address).getMetadata(sourceId, 'w1'))?.identity?.modelName, identity.modelName);
    assert.equal((await role.stop()).code, 143);
  });

  it('that is lost takes readiness with it, not life, and brings it back', { skip: noRedis }, async (test) => {
    const redis = await TestRedis.start();
    test.after(() => redis.close());
    const { role, http, metrics, address } = await serve(['--store', 'redis'], { REDIS_URL: redis.url });
    assert.equal(await readyz(http), '200 ready');
    const up = async (): Promise<number | undefined> => parseMetrics((await ask(metrics, '/metrics')).body).value('weightcast_store_up');
    assert.equal(await up(), 1);
    await redis.stop();
    await eventually('not ready', async () => ((await readyz(http)).startsWith('503 the redis store cannot be used: ') ? true : undefined));
    assert.equal(await up(), 0);
    assert.equal((await ask(http, '/livez')).status, 200);
    assert.deepEqual(await connect(test, address).listSources({}), []);
    await redis.start();
    await eventually('ready', async () => ((await readyz(http)) === '200 ready' ? true : undefined));
    assert.equal((await role.stop()).code, 143);
  });
});

describe('the log', () => {
  it('says why only this machine may call, and warns where everybody may', async () => {
    const port = String(await unusedPort());
    const byDefault = new Role(['serve', '--port', port, '--metrics-port', '0', '--http-port', '0']);
    await byDefault.next();
    assert.match((await byDefault.stop()).stderr, /listening on 127\.0\.0\.1 only: without authentication only this machine may call/);
    const everywhere = new Role(['serve', '--listen', '0.0.0.0:0', '--metrics-port', '0', '--http-port', '0']);
    await everywhere.next();
    const { stderr } = await everywhere.stop();
    assert.match(stderr, /"level":"warn".*everybody who reaches 0\.0\.0\.0 may publish and read sources/);
  });
});

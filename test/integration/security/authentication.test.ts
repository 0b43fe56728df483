import assert from 'node:assert/strict';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Client, credentials, type handleUnaryCall, Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { EndpointOptions, GrpcEndpoint } from '#src/rpc/endpoint.js';
import { service } from '#src/rpc/endpoint.js';
import { HealthServiceService } from '#src/gen/model_express/health.js';
import { MetadataClient } from '#src/metadata/client.js';
import { WorkerClient } from '#src/metadata/worker/client.js';
import { authenticating, type AuthenticationRefusal } from '#src/rpc/interceptors/authenticate.js';
import { subjectOf } from '#src/rpc/interceptors/client-key.js';
import type { Authenticator, Verdict } from '#src/security/authenticator.js';
import { TokenList } from '#src/security/token-list.js';
import { eventually } from '../../support/eventually.js';
import { memoryLogger } from '../metadata/support.js';
import { bytesDefinition, bytesService, folder, openEndpoint } from '../rpc/support.js';
import { connectBytes, TestAuthority } from './support.js';

const alice = 'alice-0123456789abcdef';
const bob = 'bob-0123456789abcdefgh';

interface Guarded {
  readonly address: string;
  readonly endpoint: GrpcEndpoint;
  readonly refusals: [string, AuthenticationRefusal][];
  readonly lines: string[];
}

async function guard(test: TestContext, authenticator: Authenticator, options: Partial<EndpointOptions> = {}): Promise<Guarded> {
  const refusals: [string, AuthenticationRefusal][] = [];
  const logger = memoryLogger();
  const interceptor = authenticating({ authenticator, logger, onRefused: (path, refusal) => refusals.push([path, refusal]) });
  const opened = await openEndpoint(test, { interceptors: [interceptor], ...options });
  return { ...opened, refusals, lines: logger.lines };
}

async function tokenFile(test: TestContext, text: string): Promise<string> {
  const file = join(await folder(test), 'tokens');
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** A raw call with these metadata, and what came of it. */
function rawCall(test: TestContext, address: string, path: string, header: string | undefined, request = Buffer.alloc(0)) {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_http_proxy': 0 });
  test.after(() => {
    client.close();
  });
  const metadata = new Metadata();
  if (header !== undefined) metadata.set('authorization', header);
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise<{ code: number; details: string }>((done) => {
    client.makeUnaryRequest(path, same, same, request, metadata, { deadline: Date.now() + 20_000 }, (error, reply) => {
      done({ code: error?.code ?? status.OK, details: error?.details ?? String(reply) });
    });
  });
}

const missing = { code: status.UNAUTHENTICATED, details: 'missing or invalid service account token' };

describe('a server with a token list', () => {
  it('takes calls with a token of the list, in the name of its owner, and shows nobody the token', async (test) => {
    const list = TokenList.open(await tokenFile(test, `${alice} alice\n${bob}\n`), memoryLogger());
    const seen: string[] = [];
    const after: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) => {
          next({
            onReceiveMetadata: (metadata, pass) => {
              seen.push(`${subjectOf(call) ?? 'nobody'} ${JSON.stringify(metadata.get('authorization'))}`);
              pass(metadata);
            },
          });
        },
      });
    const { address } = await guard(test, list, { interceptors: [authenticating({ authenticator: list }), after] });
    const own = await tokenFile(test, ` ${alice}\n`);
    assert.equal(await connectBytes(test, address, { tokenFile: own }).echo('x'), 'x');
    assert.equal(await connectBytes(test, address, { tokenFile: await tokenFile(test, bob) }).echo('y'), 'y');
    assert.deepEqual(seen, ['alice []', 'line 2 []']);
  });

  it('refuses calls without a token or with another, and says so to everybody', async (test) => {
    const list = TokenList.open(await tokenFile(test, `${alice} alice\n`), memoryLogger());
    const { address, refusals, lines } = await guard(test, list);
    const refused = { code: 'ERR_UNAUTHENTICATED', grpcMessage: missing.details };
    await assert.rejects(connectBytes(test, address).echo('x'), refused);
    const logger = memoryLogger();
    const nowhere = connectBytes(test, address, { tokenFile: '/no/such/token' }, { logger });
    await assert.rejects(nowhere.echo('x'), refused);
    await assert.rejects(nowhere.echo('x'), refused);
    assert.equal(logger.lines.length, 1);
    await assert.rejects(connectBytes(test, address, { tokenFile: await tokenFile(test, bob) }).echo('x'), refused);
    assert.deepEqual(refusals, Array(4).fill(['/test.Bytes/Echo', 'unauthenticated']));
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /^warn a call is refused: .*"client":"127\.0\.0\.1"/);
    assert.doesNotMatch(lines[0]!, new RegExp(bob));
  });

  it('reads the header as ModelExpress does', async (test) => {
    const list = TokenList.open(await tokenFile(test, `${alice} alice\n`), memoryLogger());
    const { address } = await guard(test, list);
    const cases: [string | undefined, boolean][] = [
      [`Bearer ${alice}`, true],
      [`bearer ${alice}`, true],
      [`BEARER ${alice}`, true],
      [`Bearer  ${alice}`, false],
      [`Bearer${alice}`, false],
      [`Basic ${alice}`, false],
      [`Bearer ${alice}x`, false],
      [`Bearer ${alice.toUpperCase()}`, false],
      ['Bearer ', false],
      ['Bearer', false],
      [alice, false],
      ['', false],
      [undefined, false],
    ];
    for (const [header, good] of cases) {
      const answer = await rawCall(test, address, '/test.Bytes/Echo', header, Buffer.from('x'));
      assert.deepEqual(answer, good ? { code: status.OK, details: 'x' } : missing, `header ${String(header)}`);
    }
  });

  it('refuses a token that is taken out of the file from the next call on, on a connection that is open', async (test) => {
    const file = await tokenFile(test, `${alice} alice\n${bob} bob\n`);
    const logger = memoryLogger();
    const { address, endpoint } = await guard(test, TokenList.open(file, logger));
    const { echo } = connectBytes(test, address, { tokenFile: await tokenFile(test, alice) });
    assert.equal(await echo('1'), '1');
    await writeFile(file, `${bob} bob\n`);
    await assert.rejects(echo('2'), { code: 'ERR_UNAUTHENTICATED' });
    // A file that makes no sense does not let anybody out or in.
    for (const broken of ['', '# nothing\n', 'short\n', `${alice}\n${bob.slice(0, 5)}\n`]) {
      await writeFile(file, broken);
      await assert.rejects(echo('3'), { code: 'ERR_UNAUTHENTICATED' });
    }
    await rm(file);
    await assert.rejects(echo('4'), { code: 'ERR_UNAUTHENTICATED' });
    assert.equal(await connectBytes(test, address, { tokenFile: await tokenFile(test, bob) }).echo('5'), '5');
    assert.equal(logger.lines.filter((line) => line.startsWith('error the token file has changed and cannot be used')).length, 5);
    await writeFile(file, `${alice} alice\n`, { mode: 0o600 });
    assert.equal(await echo('6'), '6');
    assert.equal(endpoint.connections, 2);
  });

  it('lets a client that stays connected go on with its rotated token', async (test) => {
    const file = await tokenFile(test, `${alice} seed\n`);
    const own = await tokenFile(test, alice);
    const { address, endpoint } = await guard(test, TokenList.open(file, memoryLogger()));
    const { echo } = connectBytes(test, address, { tokenFile: own, tokenTtlMs: 0 });
    assert.equal(await echo('1'), '1');
    // Both are good for a while; then the old one is taken away.
    await writeFile(file, `${alice} seed\n${bob} seed\n`);
    await writeFile(own, bob);
    assert.equal(await echo('2'), '2');
    await writeFile(file, `${bob} seed\n`);
    assert.equal(await echo('3'), '3');
    assert.equal(endpoint.connections, 1);
  });

  it('warns of a file that everybody may read', async (test) => {
    const file = await tokenFile(test, `${alice}\n`);
    const quiet = memoryLogger();
    TokenList.open(file, quiet);
    assert.deepEqual(quiet.lines, []);
    await chmod(file, 0o644);
    const logger = memoryLogger();
    TokenList.open(file, logger);
    assert.match(logger.lines.join('\n'), /^warn every user of this machine may read the token file; chmod o-r .*"mode":"644"/);
  });

  it('works over TLS', async (test) => {
    const ca = await TestAuthority.make(test);
    const { address } = await guard(test, TokenList.open(await tokenFile(test, alice), memoryLogger()), { tls: await ca.issue('server') });
    const { echo } = connectBytes(test, address, { tls: { caFile: ca.caFile }, tokenFile: await tokenFile(test, alice) });
    assert.equal(await echo('x'), 'x');
  });
});

/** A service of one method of bytes. */
const definition = (path: string) => ({ Call: { ...bytesDefinition.Echo, path } });

describe('authentication', () => {
  const verdicts = (next: () => Verdict | Promise<Verdict>): Authenticator => ({
    authenticate: () => Promise.resolve(next()),
    close: () => Promise.resolve(),
  });

  it('has the codes and messages of the spec', async (test) => {
    let verdict: Verdict = { outcome: 'permission_denied', message: 'service account ns:sa is not in the allowlist' };
    const { address, refusals } = await guard(
      test,
      verdicts(() => verdict),
    );
    const call = () => rawCall(test, address, '/test.Bytes/Echo', 'Bearer x');
    assert.deepEqual(await call(), { code: status.PERMISSION_DENIED, details: 'service account ns:sa is not in the allowlist' });
    verdict = { outcome: 'unavailable' };
    assert.deepEqual(await call(), { code: status.UNAVAILABLE, details: 'authentication backend unavailable' });
    verdict = { outcome: 'unauthenticated' };
    assert.deepEqual(await call(), missing);
    assert.deepEqual(
      refusals.map(([, refusal]) => refusal),
      ['permission_denied', 'unavailable', 'unauthenticated'],
    );
  });

  it('is not asked of the health services, and of everything else', async (test) => {
    const answer: handleUnaryCall<Buffer, Buffer> = (_call, done) => {
      done(null, Buffer.from('hello'));
    };
    const open = [HealthServiceService.getHealth.path, '/grpc.health.v1.Health/Check'];
    const closed = [
      '/grpc.health.v1.Healthy/Check',
      '/model_express.p2p.P2pService/ListSources',
      '/model_express.api.ApiService/SendRequest',
      '/weightcast.v1.TransferService/ReportTransfer',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    ];
    const services = [...open, ...closed].map((path) => service(definition(path), { Call: answer }));
    const { address } = await guard(
      test,
      verdicts(() => ({ outcome: 'unauthenticated' })),
      { services },
    );
    for (const path of open) assert.deepEqual(await rawCall(test, address, path, undefined), { code: status.OK, details: 'hello' }, path);
    for (const path of closed) assert.deepEqual(await rawCall(test, address, path, undefined), missing, path);
  });

  it('is what a metadata server gets from us, and a worker never', async (test) => {
    const asked: string[] = [];
    const authenticator: Authenticator = {
      authenticate: (token) => {
        asked.push(token);
        return Promise.resolve({ outcome: 'unauthenticated' });
      },
      close: () => Promise.resolve(),
    };
    const paths = ['/model_express.p2p.P2pService/ListSources', '/model_express.p2p.WorkerService/GetTensorManifest'];
    const services = paths.map((path) => service(definition(path), { Call: () => undefined }));
    const ca = await TestAuthority.make(test);
    const { address } = await guard(test, authenticator, { services, tls: await ca.issue('server') });
    const security = { tls: { caFile: ca.caFile }, tokenFile: await tokenFile(test, alice) };
    const worker = new WorkerClient(`https://${address}`, { security });
    await assert.rejects(worker.tensorManifest('s', 'w'), { code: 'ERR_UNAUTHENTICATED' });
    assert.deepEqual(asked, []);
    const server = new MetadataClient(address, { security });
    await assert.rejects(server.listSources({}), { code: 'ERR_UNAUTHENTICATED' });
    assert.deepEqual(asked, [alice]);
    worker.close();
    server.close();
  });

  it('decides before the request is read', async (test) => {
    const events: string[] = [];
    let release: ((verdict: Verdict) => void) | undefined;
    const waiting = new Promise<Verdict>((done) => (release = done));
    const requestDeserialize = (bytes: Buffer): Buffer => {
      events.push('read');
      return bytes;
    };
    const answer: handleUnaryCall<Buffer, Buffer> = (call, done) => {
      done(null, Buffer.from(String(call.request.length)));
    };
    const services = [service({ Echo: { ...bytesDefinition.Echo, requestDeserialize } }, { Echo: answer })];
    const authenticator = verdicts(() => {
      events.push('asked');
      return waiting;
    });
    const { address } = await guard(test, authenticator, { services });
    const large = Buffer.alloc(8 * 1024 * 1024, 1);
    const call = rawCall(test, address, '/test.Bytes/Echo', 'Bearer x', large);
    await eventually('question', () => events[0]);
    // Time for a server to read on that does so.
    await new Promise((done) => setTimeout(done, 100));
    events.push('decided');
    release?.({ outcome: 'accepted', principal: { subject: 'x' } });
    assert.deepEqual(await call, { code: status.OK, details: String(large.length) });
    assert.deepEqual(events, ['asked', 'decided', 'read']);
  });

  it('of a call whose request is still on its way leaves the connection as it was', async (test) => {
    let verdict: Verdict = { outcome: 'unauthenticated' };
    const { address, endpoint } = await guard(
      test,
      verdicts(() => verdict),
    );
    const { echo } = connectBytes(test, address, { tokenFile: await tokenFile(test, alice) });
    const large = 'x'.repeat(2_000_000);
    for (let index = 0; index < 5; index++) await assert.rejects(echo(large), { code: 'ERR_UNAUTHENTICATED' });
    // Unread bytes of refused calls must not use up what the connection may have on the way.
    verdict = { outcome: 'accepted', principal: { subject: 'x' } };
    assert.equal(await echo(large), large);
    assert.equal(endpoint.connections, 1);
  });

  it('takes a call back that ends while its token is looked at', async (test) => {
    let asked = 0;
    let release: ((verdict: Verdict) => void) | undefined;
    const waiting = new Promise<Verdict>((done) => (release = done));
    let handled = 0;
    const services = [
      bytesService({
        Echo: ((_call, answer) => {
          handled += 1;
          answer(null, Buffer.alloc(0));
        }) as handleUnaryCall<Buffer, Buffer>,
      }),
    ];
    const { address } = await guard(
      test,
      verdicts(() => {
        asked += 1;
        return asked === 1 ? waiting : { outcome: 'accepted', principal: { subject: 'x' } };
      }),
      { services },
    );
    const file = await tokenFile(test, alice);
    const { echo } = connectBytes(test, address, { tokenFile: file });
    const stop = new AbortController();
    const call = echo('x', stop.signal);
    await eventually('question', () => (asked === 1 ? true : undefined));
    stop.abort();
    await assert.rejects(call, { code: 'ERR_ABORTED' });
    // The next call arrives after the cancellation on the same connection.
    await echo('y');
    release?.({ outcome: 'accepted', principal: { subject: 'x' } });
    await echo('z');
    assert.equal(handled, 2);
  });
});

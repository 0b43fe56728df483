import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { openAuthenticator } from '#src/security/authenticate.js';
import { authenticating } from '#src/rpc/interceptors/authenticate.js';
import { type TokenReviewOptions, TokenReviews } from '#src/security/token-review.js';
import { TokenReviewApi } from '#src/security/token-review-api.js';
import { eventually } from '../../support/eventually.js';
import { memoryLogger, unusedPort } from '../metadata/support.js';
import { folder, openEndpoint } from '../rpc/support.js';
import { answerJson, KubernetesStandIn, type Misbehave } from './kubernetes-stand-in.js';
import { connectBytes, TestAuthority } from './support.js';

const unauthenticated = { outcome: 'unauthenticated' } as const;
const unavailable = { outcome: 'unavailable' } as const;
const accepted = { outcome: 'accepted', principal: { subject: 'prod:seed' } } as const;

interface Reviewed {
  readonly cluster: KubernetesStandIn;
  readonly reviews: TokenReviews;
  readonly lines: readonly string[];
  readonly clock: { now: number };
}

async function start(test: TestContext, change: Partial<TokenReviewOptions> & { timeoutMs?: number } = {}): Promise<Reviewed> {
  const cluster = await KubernetesStandIn.start(test);
  const logger = memoryLogger();
  const clock = { now: 1_000_000 };
  const { timeoutMs, ...options } = change;
  const reviews = await TokenReviews.open(
    {
      audiences: ['modelexpress', 'weights'],
      serviceAccounts: ['prod:seed', 'prod:target'],
      api: { ...cluster.api, timeoutMs },
      now: () => clock.now,
      ...options,
    },
    logger,
  );
  test.after(() => reviews.close());
  return { cluster, reviews, lines: logger.lines, clock };
}

describe('Kubernetes token review (against a stand-in of its API)', () => {
  it('asks as Kubernetes wants to be asked, with the token of the pod', async (test) => {
    const { cluster, reviews } = await start(test);
    cluster.issue('t1', 'prod:seed');
    assert.deepEqual(await reviews.authenticate('t1'), accepted);
    assert.deepEqual(cluster.requests, [
      {
        method: 'POST',
        url: '/apis/authentication.k8s.io/v1/tokenreviews',
        authorization: 'Bearer the-pods-own-token',
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: 't1', audiences: ['modelexpress', 'weights'] },
        },
      },
    ]);
  });

  it('rejects a token that the API does not know, one for another audience, and one that is no service account', async (test) => {
    const { cluster, reviews } = await start(test);
    cluster.issue('elsewhere', 'prod:seed', ['vault']);
    cluster.tokens.set('person', { username: 'jane@example.com', audiences: ['modelexpress'] });
    cluster.tokens.set('odd', { username: 'system:serviceaccount:prod:seed:x', audiences: ['modelexpress'] });
    for (const token of ['unknown', 'elsewhere', 'person', 'odd'])
      assert.deepEqual(await reviews.authenticate(token), unauthenticated, token);
  });

  it('rejects what the API calls authenticated for no audience of ours', async (test) => {
    const { cluster, reviews } = await start(test);
    const user = { username: 'system:serviceaccount:prod:seed' };
    const statuses = [
      { authenticated: true, user },
      { authenticated: true, user, audiences: ['https://kubernetes.default.svc'] },
      { authenticated: false, user, audiences: ['weights'] },
      { user, audiences: ['weights'] },
    ];
    for (const [index, status] of statuses.entries()) {
      cluster.misbehave = (response) => {
        answerJson(response, 201, { status });
      };
      assert.deepEqual(await reviews.authenticate(`token ${String(index)}`), unauthenticated, JSON.stringify(status));
    }
    cluster.misbehave = (response) => {
      answerJson(response, 201, { status: { authenticated: true, user, audiences: ['other', 'weights'] } });
    };
    assert.deepEqual(await reviews.authenticate('good'), accepted);
  });

  it('denies a service account that is not in the list, also from the cache', async (test) => {
    const { cluster, reviews } = await start(test);
    cluster.issue('t', 'dev:seed');
    const denied = { outcome: 'permission_denied', message: 'service account dev:seed is not in the allowlist' };
    assert.deepEqual(await reviews.authenticate('t'), denied);
    assert.deepEqual(await reviews.authenticate('t'), denied);
    assert.equal(cluster.requests.length, 1);
  });

  it('keeps accepted and rejected tokens for the time to live, and not longer', async (test) => {
    const { cluster, reviews, clock } = await start(test);
    cluster.issue('good', 'prod:seed');
    const both = async (): Promise<unknown> => [await reviews.authenticate('good'), await reviews.authenticate('bad')];
    assert.deepEqual(await both(), [accepted, unauthenticated]);
    // Meanwhile the cluster changes its mind.
    cluster.tokens.clear();
    cluster.issue('bad', 'prod:seed');
    clock.now += 59_999;
    assert.deepEqual(await both(), [accepted, unauthenticated]);
    assert.equal(cluster.requests.length, 2);
    clock.now += 1;
    assert.deepEqual(await both(), [unauthenticated, accepted]);
    assert.equal(cluster.requests.length, 4);
  });

  it('has a time to live that can be set', async (test) => {
    const { cluster, reviews, clock } = await start(test, { cacheTtlMs: 5000 });
    cluster.issue('good', 'prod:seed');
    await reviews.authenticate('good');
    clock.now += 5000;
    await reviews.authenticate('good');
    assert.equal(cluster.requests.length, 2);
  });

  it('asks once for many calls with one token at the same time', async (test) => {
    const { cluster, reviews } = await start(test);
    cluster.issue('good', 'prod:seed');
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => reviews.authenticate('good')));
    assert.deepEqual(verdicts, Array(50).fill(accepted));
    const others = await Promise.all(Array.from({ length: 50 }, (_, index) => reviews.authenticate(`bad ${String(index % 2)}`)));
    assert.deepEqual(others, Array(50).fill(unauthenticated));
    assert.equal(cluster.requests.length, 3);
  });

  const failures: [string, Misbehave, RegExp][] = [
    [
      'refuses our token',
      (response) => {
        answerJson(response, 401, { kind: 'Status', message: 'Unauthorized' });
      },
      /answered 401 to a TokenReview: Unauthorized/,
    ],
    [
      'forbids it',
      (response) => {
        answerJson(response, 403, { kind: 'Status', message: 'tokenreviews is forbidden' });
      },
      /403 .*tokenreviews is forbidden/,
    ],
    [
      'fails',
      (response) => {
        response.writeHead(500).end('etcd is gone');
      },
      /answered 500 to a TokenReview: etcd is gone/,
    ],
    [
      'answers with no JSON',
      (response) => {
        response.writeHead(201).end('<html>');
      },
      /something else/,
    ],
    [
      'answers without a status',
      (response) => {
        answerJson(response, 201, { kind: 'TokenReview' });
      },
      /something else/,
    ],
    [
      'answers with other types',
      (response) => {
        answerJson(response, 201, { status: { authenticated: 'yes' } });
      },
      /something else/,
    ],
    [
      'breaks off',
      (response) => {
        response.socket?.destroy();
      },
      /cannot ask the Kubernetes API/,
    ],
    [
      'breaks off in its answer',
      (response) => {
        response.writeHead(201, { 'content-length': 100 });
        response.write('{');
        setImmediate(() => response.socket?.destroy());
      },
      /cannot ask the Kubernetes API/,
    ],
    [
      'never ends',
      (response) => {
        response.writeHead(201).write('x'.repeat(2_000_000));
      },
      /more than 1048576 bytes/,
    ],
  ];
  for (const [what, misbehave, message] of failures) {
    it(`is unavailable, and keeps nothing, when the API ${what}`, async (test) => {
      const { cluster, reviews, lines } = await start(test);
      cluster.issue('good', 'prod:seed');
      cluster.misbehave = misbehave;
      assert.deepEqual(await reviews.authenticate('good'), unavailable);
      assert.match(lines.join('\n'), /^warn tokens cannot be reviewed: the Kubernetes API fails/);
      const api = await TokenReviewApi.open(cluster.api, memoryLogger());
      test.after(() => {
        api.close();
      });
      await assert.rejects(api.review('good', ['modelexpress']), { name: 'WeightcastError', message });
      cluster.misbehave = undefined;
      assert.deepEqual(await reviews.authenticate('good'), accepted);
    });
  }

  it('is unavailable when the API is slow, and does not wait for it', async (test) => {
    const { cluster, reviews } = await start(test, { timeoutMs: 100 });
    cluster.issue('good', 'prod:seed');
    cluster.misbehave = () => undefined;
    assert.deepEqual(await reviews.authenticate('good'), unavailable);
    const api = await TokenReviewApi.open({ ...cluster.api, timeoutMs: 100 }, memoryLogger());
    test.after(() => {
      api.close();
    });
    const late = { code: 'ERR_SERVER_UNREACHABLE', message: /^no answer of the Kubernetes API at 127\.0\.0\.1:\d+ within 100 ms$/ };
    await assert.rejects(api.review('good', []), late);
    cluster.misbehave = undefined;
    // On a loaded machine even a willing API can take 100 ms.
    const verdict = await eventually('answer in time', async () => {
      const found = await reviews.authenticate('good');
      return found.outcome === 'unavailable' ? undefined : found;
    });
    assert.deepEqual(verdict, accepted);
  });

  it('goes on with known tokens while the API is down', async (test) => {
    const { cluster, reviews, clock } = await start(test);
    cluster.issue('good', 'prod:seed');
    assert.deepEqual(await reviews.authenticate('good'), accepted);
    cluster.misbehave = (response) => response.socket?.destroy();
    assert.deepEqual(await reviews.authenticate('good'), accepted);
    assert.deepEqual(await reviews.authenticate('other'), unavailable);
    clock.now += 60_000;
    assert.deepEqual(await reviews.authenticate('good'), unavailable);
  });

  it('does not talk to an API whose certificate the cluster did not sign, and takes a new authority', async (test) => {
    const { cluster, reviews } = await start(test);
    cluster.issue('good', 'prod:seed');
    const stranger = await TestAuthority.make(test, 'Stranger');
    const { caFile } = cluster.api;
    const real = await readFile(caFile);
    await writeFile(caFile, await readFile(stranger.caFile));
    assert.deepEqual(await reviews.authenticate('good'), unavailable);
    assert.equal(cluster.requests.length, 0);
    await writeFile(caFile, real);
    assert.deepEqual(await reviews.authenticate('good'), accepted);
  });

  it('guards a server: the codes and messages, and a token that the cluster takes back', async (test) => {
    const { cluster, reviews, clock } = await start(test);
    const { address, endpoint } = await openEndpoint(test, { interceptors: [authenticating({ authenticator: reviews })] });
    const dir = await folder(test);
    const token = `${dir}/token`;
    await writeFile(token, cluster.issue('good', 'prod:seed'));
    const { echo } = connectBytes(test, address, { tokenFile: token, tokenTtlMs: 0 });
    assert.equal(await echo('1'), '1');
    cluster.tokens.delete('good');
    clock.now += 60_000;
    const missing = { code: 'ERR_UNAUTHENTICATED', grpcMessage: 'missing or invalid service account token' };
    await assert.rejects(echo('2'), missing);
    await writeFile(token, cluster.issue('outsider-token', 'dev:seed'));
    const denied = { code: 'ERR_PERMISSION_DENIED', grpcMessage: 'service account dev:seed is not in the allowlist' };
    await assert.rejects(echo('3'), denied);
    cluster.misbehave = (response) => response.socket?.destroy();
    await writeFile(token, 'yet-another-token');
    const down = { code: 'ERR_SERVER_UNREACHABLE', grpcMessage: 'authentication backend unavailable' };
    await assert.rejects(echo('4'), down);
    await rm(token);
    await assert.rejects(echo('5'), missing);
    assert.equal(endpoint.connections, 1);
  });

  it('begins while the API is down', async (test) => {
    const cluster = await KubernetesStandIn.start(test);
    const api = { ...cluster.api, port: await unusedPort() };
    const reviews = await TokenReviews.open({ audiences: ['a'], serviceAccounts: ['b:c'], api }, memoryLogger());
    test.after(() => reviews.close());
    assert.deepEqual(await reviews.authenticate('x'), unavailable);
  });
});

describe('the choice of authentication', () => {
  it('is none with off, and the API of the pod with kubernetes', async (test) => {
    const logger = memoryLogger();
    assert.equal(await openAuthenticator({ mode: 'off' }, logger), undefined);
    const cluster = await KubernetesStandIn.start(test);
    const { host, port, ...files } = cluster.api;
    const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: String(port) };
    const options = { mode: 'kubernetes', audiences: ['modelexpress'], serviceAccounts: ['prod:seed'], api: { ...files, env } } as const;
    const authenticator = await openAuthenticator(options, logger);
    test.after(() => authenticator?.close());
    assert.deepEqual(await authenticator?.authenticate(cluster.issue('t', 'prod:seed')), accepted);
  });

  it('refuses to begin without what it needs', async (test) => {
    const cluster = await KubernetesStandIn.start(test);
    const good = { audiences: ['modelexpress'], serviceAccounts: ['prod:seed'], api: cluster.api };
    const open = (change: Partial<TokenReviewOptions>): Promise<unknown> => TokenReviews.open({ ...good, ...change }, memoryLogger());
    const cases: [Partial<TokenReviewOptions>, RegExp][] = [
      [{ audiences: [] }, /at least one token audience is needed/],
      [{ audiences: [''] }, /none may be empty/],
      [{ serviceAccounts: [] }, /at least one allowed service account is needed/],
      [{ serviceAccounts: ['seed'] }, /Expected a service account as namespace:name but received 'seed'/],
      [{ serviceAccounts: ['a:b:c'] }, /'a:b:c'/],
      [{ api: { ...cluster.api, host: undefined, env: {} } }, /KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not name the API/],
      [{ api: { ...cluster.api, port: undefined, env: { KUBERNETES_SERVICE_PORT: 'x' } } }, /KUBERNETES_SERVICE_PORT/],
      [{ api: { ...cluster.api, tokenFile: '/no/such/token' } }, /\/no\/such\/token holds no token; is the service account mounted/],
      [{ api: { ...cluster.api, caFile: '/no/such/ca' } }, /authority of the API cannot be read: .*\/no\/such\/ca/],
    ];
    for (const [change, message] of cases) await assert.rejects(open(change), { code: 'ERR_CONFIG', message });
  });
});

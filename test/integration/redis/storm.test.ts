/** Two servers on one Redis, of which one is killed every two seconds, under load. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { noRedis, TestRedis } from '../../support/redis.js';
import { Role } from '../../support/roles.js';
import { connect, unusedPort } from '../metadata/support.js';
import { identityOf, type LoadOptions, type LoadReport, publisherCount, tensorsOf } from './storm/plan.js';

const stormMs = Number(process.env['WEIGHTCAST_STORM_SECONDS'] ?? 60) * 1000;
const killEveryMs = 2000;

/** One `weightcast serve` that may be killed and started again on its port. */
class Server {
  readonly address: string;
  readonly #redisUrl: string;
  #role: Role | undefined;
  #ready: Promise<unknown> = Promise.resolve();
  /** How long the starts took that were not cut short, in milliseconds. */
  readonly startsMs: number[] = [];

  constructor(port: number, redisUrl: string) {
    this.address = `127.0.0.1:${String(port)}`;
    this.#redisUrl = redisUrl;
  }

  start(): void {
    const args = ['serve', '--listen', this.address, '--store', 'redis', '--redis-url', this.#redisUrl];
    args.push('--metrics-port', '0', '--http-port', '0', '--heartbeat-timeout', '600', '--log-level', 'error');
    // All clients of the storm have one address; those of a cluster do not.
    this.#role = new Role(args, { env: { WEIGHTCAST_LIMITS_CONNECTIONS_PER_SECOND: '0' } });
    const begin = performance.now();
    this.#ready = this.#role.next().then(
      () => this.startsMs.push(performance.now() - begin),
      (error: unknown) => error,
    );
  }

  async ready(): Promise<void> {
    const printed = await this.#ready;
    if (printed instanceof Error) throw printed;
  }

  async kill(): Promise<void> {
    await this.#role?.stop('SIGKILL');
  }
}

function startLoad(test: TestContext, options: LoadOptions): { finish: () => Promise<LoadReport> } {
  const thread = new Worker(new URL('./storm/load.js', import.meta.url), { workerData: options });
  test.after(() => thread.terminate());
  return {
    finish: async () => {
      thread.postMessage('stop');
      const [report] = (await once(thread, 'message')) as [LoadReport];
      return report;
    },
  };
}

describe('a storm over two servers on one Redis', { skip: noRedis }, () => {
  it('loses nothing that was acknowledged, and shows readers nothing but servers that are away', async (test) => {
    const redis = await TestRedis.start();
    test.after(() => redis.close());
    const servers = [new Server(await unusedPort(), redis.url), new Server(await unusedPort(), redis.url)];
    for (const server of servers) server.start();
    for (const server of servers) await server.ready();

    const addresses = servers.map(({ address }) => address);
    const publishers = startLoad(test, { role: 'publishers', servers: addresses });
    const readers = startLoad(test, { role: 'readers', servers: addresses });
    let kills = 0;
    const end = performance.now() + stormMs;
    for (let next = performance.now() + killEveryMs; performance.now() < end; next += killEveryMs) {
      await sleep(Math.max(0, next - performance.now()));
      // On a slow computer a start takes longer than two seconds; a storm without any server would show little.
      const other = servers[(kills + 1) % servers.length];
      await other?.ready();
      const server = servers[kills++ % servers.length];
      await server?.kill();
      server?.start();
    }
    for (const server of servers) await server.ready();
    const [published, read] = await Promise.all([publishers.finish(), readers.finish()]);

    const figures = (({ acknowledged: _acknowledged, wrong: _wrong, ...rest }: LoadReport) => rest)(published);
    const startsMs = servers.flatMap((server) => server.startsMs).map(Math.round);
    test.diagnostic(`servers killed: ${String(kills)}; starts that were finished, in ms: ${startsMs.join(', ')}`);
    test.diagnostic(`publishers: ${JSON.stringify(figures)}`);
    test.diagnostic(`readers: ${JSON.stringify({ calls: read.calls, errors: read.errors, longestOutageMs: read.longestOutageMs })}`);
    assert.deepEqual([...published.wrong, ...read.wrong], []);
    assert.deepEqual(
      Object.keys({ ...published.errors, ...read.errors }),
      ['ERR_SERVER_UNREACHABLE'],
      'servers that are killed are noticed',
    );
    assert.ok(published.publications > publisherCount && published.acknowledged.length > publisherCount);

    for (const address of addresses) {
      const client = connect(test, address);
      const listed = new Set<string>();
      for (let publisher = 0; publisher < publisherCount; publisher++) {
        for (const { workerId } of await client.listSources({ identity: identityOf(publisher) })) listed.add(workerId);
      }
      for (const [workerId, sourceId, version] of published.acknowledged) {
        assert.ok(listed.has(workerId), `${workerId} is not listed by ${address}`);
        const found = await client.getMetadata(sourceId, workerId);
        const stored = Number(found?.worker.agentName);
        // A later publication that was not acknowledged may have been made.
        assert.ok(stored >= version, `${workerId} is at ${String(stored)}, and ${String(version)} was acknowledged`);
        assert.equal(found?.worker.tensors.length, tensorsOf(stored).length);
        if (stored === version) assert.notEqual(found.worker.status, SourceStatus.SOURCE_STATUS_STALE);
      }
    }
  });
});

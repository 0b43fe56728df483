/** What a scrape shows, after calls whose numbers are known. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import type { Daemon } from '#src/daemon/daemon.js';
import { ServerMetrics } from '#src/daemon/metrics/server-metrics.js';
import { packageVersion } from '#src/version.js';
import { eventually } from '../../support/eventually.js';
import { connect, connectRaw, identity, worker } from '../metadata/support.js';
import { configFile } from '../../unit/daemon/support.js';
import { type Metrics, parseMetrics } from './openmetrics.js';
import { ask, startDaemon } from './support.js';

async function scrape(daemon: Daemon): Promise<Metrics> {
  const answer = await ask(daemon.metricsAddress, '/metrics');
  assert.equal(answer.status, 200);
  return parseMetrics(answer.body);
}

/** Calls of which the numbers below are made. */
async function makeCalls(test: TestContext, daemon: Daemon): Promise<string> {
  const client = connect(test, daemon.address);
  const sourceId = await client.publish({ identity, worker: worker(), workerId: 'w1' });
  await client.publish({ identity, worker: worker(), workerId: 'w2' });
  await assert.rejects(client.publish({ identity, worker: worker(), workerId: '' }), { code: 'ERR_PUBLISH_REFUSED' });
  const update = { mxSourceId: sourceId, workerRank: 0, status: SourceStatus.SOURCE_STATUS_READY };
  await client.updateStatus({ ...update, workerId: 'w1' });
  await client.updateStatus({ ...update, workerId: 'nobody' });
  await client.getMetadata(sourceId, 'w1');
  await client.getMetadata(sourceId, 'nobody');
  await client.listSources({});
  return sourceId;
}

describe('metrics', () => {
  it('are OpenMetrics with the families of ModelExpress, by its names', async (test) => {
    const daemon = await startDaemon(test);
    await makeCalls(test, daemon);
    const answer = await ask(daemon.metricsAddress, '/metrics');
    assert.equal(answer.headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    const { value, types } = parseMetrics(answer.body);
    assert.equal(value('mx_build_info', { component: 'server', version: packageVersion(), backend: 'memory', scheme: '' }), 1);

    const requests = (method: string, outcome: string): number | undefined => value('mx_grpc_requests_total', { method, outcome });
    assert.equal(requests('PublishMetadata', 'ok'), 2);
    assert.equal(requests('PublishMetadata', 'invalid_argument'), 1);
    assert.equal(requests('UpdateStatus', 'ok'), 1);
    assert.equal(requests('UpdateStatus', 'not_found'), 1);
    assert.equal(requests('GetMetadata', 'ok'), 1);
    assert.equal(requests('GetMetadata', 'not_found'), 1);
    assert.equal(requests('ListSources', 'ok'), 1);
    assert.equal(value('mx_grpc_request_seconds_count', { method: 'PublishMetadata' }), 3);
    assert.equal(value('mx_grpc_request_seconds_bucket', { method: 'PublishMetadata', le: '+Inf' }), 3);
    assert.ok((value('mx_grpc_request_seconds_sum', { method: 'PublishMetadata' }) ?? 0) > 0);
    for (const method of ['PublishMetadata', 'UpdateStatus', 'GetMetadata', 'ListSources']) {
      assert.equal(value('mx_grpc_requests_in_flight', { method }), 0, method);
    }
    assert.equal(value('mx_backend_ops_total', { backend: 'memory', op: 'publish', outcome: 'ok' }), 2);
    assert.equal(types.get('mx_grpc_requests'), 'counter');
    assert.equal(types.get('mx_grpc_request_seconds'), 'histogram');
    assert.equal(types.get('mx_grpc_requests_in_flight'), 'gauge');
    assert.equal(types.get('mx_backend_ops'), 'counter');
  });

  it('count sources, connections and the process', async (test) => {
    const daemon = await startDaemon(test);
    await makeCalls(test, daemon);
    const { value } = await scrape(daemon);
    assert.equal(value('weightcast_sources', { status: 'ready' }), 1);
    assert.equal(value('weightcast_sources', { status: 'unknown' }), 1);
    assert.equal(value('weightcast_sources', { status: 'stale' }), 0);
    assert.equal(value('weightcast_connections'), 1);
    assert.equal(value('weightcast_connections_accepted_total'), 1);
    assert.equal(value('weightcast_ready'), 1);
    assert.equal(value('weightcast_store_up'), 1);
    assert.equal(value('weightcast_transfers', { state: 'running' }), 0);
    assert.ok((value('process_cpu_seconds_total') ?? 0) > 0);
    assert.ok((value('process_resident_memory_bytes') ?? 0) > 10e6);
  });

  it('tell of the reaper', async (test) => {
    const daemon = await startDaemon(test, { heartbeatTimeout: '0.1', gcTimeout: '0.1', reaperInterval: '0.1' });
    await makeCalls(test, daemon);
    await eventually('removed worker', async () => {
      const { value } = await scrape(daemon);
      const marked = value('weightcast_reaper_actions_total', { action: 'marked_stale' });
      const removed = value('weightcast_reaper_actions_total', { action: 'removed' });
      return marked === 1 && removed === 1 ? true : undefined;
    });
  });

  it('count calls that limits and tokens refuse', async (test) => {
    const authTokenFile = await configFile(test, 'a-token-of-enough-length somebody\n');
    const daemon = await startDaemon(test, { authTokenFile, maxRequestsPerSecond: '1' });
    const client = connect(test, daemon.address);
    await assert.rejects(client.listSources({}), { code: 'ERR_UNAUTHENTICATED' });
    const codes: unknown[] = [];
    for (let call = 0; call < 4; call++)
      await client.listSources({}).catch((error: unknown) => codes.push((error as { code: string }).code));
    assert.ok(codes.includes('ERR_OVERLOADED'), String(codes));
    const { value } = await scrape(daemon);
    assert.ok((value('mx_grpc_requests_total', { method: 'ListSources', outcome: 'unauthenticated' }) ?? 0) >= 1);
    const refused = codes.filter((code) => code === 'ERR_OVERLOADED').length;
    assert.equal(value('weightcast_calls_refused_total', { method: 'ListSources', limit: 'rate' }), refused);
    assert.equal(value('mx_grpc_requests_total', { method: 'ListSources', outcome: 'overloaded' }), refused);
    assert.equal(value('mx_grpc_requests_in_flight', { method: 'ListSources' }) ?? 0, 0);
  });

  it('do not grow with what clients make up', async (test) => {
    const daemon = await startDaemon(test);
    const client = connectRaw(test, daemon.address);
    const asIs = (bytes: Buffer): Buffer => bytes;
    for (let call = 0; call < 20; call++) {
      await new Promise((done) => {
        client.makeUnaryRequest(`/made.Up/Method${String(call)}`, asIs, asIs, Buffer.alloc(0), done);
      });
    }
    const { samples } = await scrape(daemon);
    assert.ok(!samples.some((sample) => sample.includes('Method1')));

    const metrics = await ServerMetrics.create({ version: '0', backend: 'memory', scheme: 'a"b\\c\n' });
    for (const path of ['/made.Up/One', '/made.Up/Two']) metrics.callRefused(path, 'rate');
    const { value } = parseMetrics(await metrics.text());
    assert.equal(value('weightcast_calls_refused_total', { method: 'other', limit: 'rate' }), 2);
  });

  it('serve on without the port for metrics; a port for HTTP that was asked for must be had', async (test) => {
    const other = createServer().listen(0, '127.0.0.1');
    test.after(() => other.close());
    await new Promise((done) => other.once('listening', done));
    const taken = String((other.address() as AddressInfo).port);
    const daemon = await startDaemon(test, { metricsPort: taken });
    assert.equal(daemon.metricsAddress, undefined);
    assert.ok(
      daemon.log.some((line) => line.startsWith('warn no metrics: cannot listen on 127.0.0.1:') && line.includes('the port is in use')),
    );
    await connect(test, daemon.address).listSources({});
    await assert.rejects(startDaemon(test, { httpPort: taken }), { code: 'ERR_IO', message: /the port is in use/ });
  });
});

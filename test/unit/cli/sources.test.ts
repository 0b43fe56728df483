import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { changesBetween, fetchSources, type Source } from '#src/cli/source-list.js';
import { SourceIdentity, SourceStatus, WorkerMetadata } from '#src/gen/model_express/p2p.js';
import { MetadataClient } from '#src/metadata/client.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { runHere } from './memory-io.js';

describe('the list of sources', () => {
  let now = 1_700_000_000_000;
  let server: MetadataServer;
  let client: MetadataClient;
  const signal = new AbortController().signal;

  before(async () => {
    server = await MetadataServer.listen({
      listen: '127.0.0.1:0',
      clock: () => now,
      heartbeatTimeoutMs: 90_000,
      reaperIntervalMs: 3_600_000,
    });
    client = new MetadataClient(server.address);
    const statuses = [SourceStatus.SOURCE_STATUS_READY, SourceStatus.SOURCE_STATUS_INITIALIZING, SourceStatus.SOURCE_STATUS_STALE] as const;
    for (const [rank, status] of statuses.entries()) {
      const mxSourceId = await publish('org/a', `a${String(rank)}`, rank);
      await client.updateStatus({ mxSourceId, workerId: `a${String(rank)}`, workerRank: rank, status });
    }
    await publish('org/b', 'b0', 0);
  });
  after(async () => {
    client.close();
    await server.close();
  });

  function publish(modelName: string, workerId: string, workerRank: number): Promise<string> {
    return client.publish({
      identity: SourceIdentity.fromPartial({ modelName, tensorParallelSize: 3 }),
      worker: WorkerMetadata.fromPartial({
        workerRank,
        accelerator: 'cuda',
        backendMetadata: { $case: 'transferEngineSessionId', value: 'h:1' },
      }),
      workerId,
    });
  }

  async function states(filter: Parameters<typeof fetchSources>[1]): Promise<Record<string, string>> {
    return Object.fromEntries((await fetchSources(client, filter, signal)).map(({ workerId, status }) => [workerId, status]));
  }

  it('has the status of each', async () => {
    assert.deepEqual(await states({}), { a0: 'READY', a1: 'INITIALIZING', a2: 'STALE', b0: 'UNKNOWN' });
  });

  it('filters by model, by identity and by rank', async () => {
    assert.deepEqual(Object.keys(await states({ modelName: 'org/b' })), ['b0']);
    assert.deepEqual(Object.keys(await states({ modelName: 'org/a', rank: 1 })), ['a1']);
    assert.deepEqual(Object.keys(await states({ identity: { modelName: 'org/b', tensorParallelSize: 3 } })), ['b0']);
    assert.deepEqual(await states({ identity: { modelName: 'org/b', tensorParallelSize: 4 } }), {});
  });

  it('is what the command prints, as a table and as JSON', async () => {
    const text = await runHere(['sources', '--server', server.address]);
    assert.equal(text.code, 0);
    const lines = text.stdout.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^MODEL +SOURCE ID +WORKER +RANK +ACCELERATOR +STATUS +UPDATED$/);
    assert.equal(lines.length, 5);
    assert.ok(
      lines.some((line) => /^org\/b +[0-9a-f]{16} +b0 +0 +cuda +UNKNOWN +never$/.test(line)),
      text.stdout,
    );
    const json = await runHere(['sources', '--server', server.address, '--json', '--model-name', 'org/a', '--rank', '2']);
    const printed = JSON.parse(json.stdout) as { server: string; sources: Source[] };
    assert.equal(printed.server, server.address);
    assert.deepEqual(
      printed.sources.map(({ workerId, rank, status, modelName }) => ({ workerId, rank, status, modelName })),
      [{ workerId: 'a2', rank: 2, status: 'STALE', modelName: 'org/a' }],
    );
    assert.equal(printed.sources[0]?.updatedAt, 1_700_000_000_000);
  });

  it('says so when there is none', async () => {
    const { code, stdout, stderr } = await runHere(['sources', '--server', server.address, '--model-name', 'org/none']);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: 'no sources\n' });
  });

  it('calls a READY source that missed its heartbeats silent', async () => {
    now += 90_001;
    assert.equal((await states({}))['a0'], 'SILENT');
  });
});

describe('a server that is not there', () => {
  it('is exit code 4, at once', async () => {
    const server = await MetadataServer.listen({ listen: '127.0.0.1:0' });
    await server.close(0);
    const startedAt = performance.now();
    const { code, stderr } = await runHere(['sources', '--server', server.address]);
    assert.equal(code, 4);
    assert.match(stderr, /^weightcast sources: ERR_SERVER_UNREACHABLE: /);
    assert.ok(stderr.includes(server.address));
    assert.ok(performance.now() - startedAt < 1500);
  });
});

describe('changes', () => {
  const source: Source = { modelName: 'm', sourceId: 's', workerId: 'w', rank: 0, accelerator: '', status: 'READY', updatedAt: 1 };

  it('are what comes, goes and changes; a heartbeat is none', () => {
    assert.deepEqual(changesBetween([source], [{ ...source, updatedAt: 2 }]), []);
    const stale = { ...source, status: 'STALE' } as const;
    const other = { ...source, rank: 1 };
    assert.deepEqual(changesBetween([source], [stale, other]), [
      { event: 'changed', source: stale },
      { event: 'added', source: other },
    ]);
    assert.deepEqual(changesBetween([source, other], [other]), [{ event: 'removed', source }]);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { connect, identity, startServer, until, worker } from './support.js';

describe("the server's reaper", () => {
  it('follows the clock that the server was given', async (test) => {
    const clock = { ms: 1_000_000_000 };
    const server = await startServer(test, { clock: () => clock.ms, reaperIntervalMs: 5 });
    const client = connect(test, server.address);
    const mxSourceId = await client.publish({ identity, worker: worker(), workerId: 'w' });
    const status = async (): Promise<SourceStatus | undefined> => (await client.getMetadata(mxSourceId, 'w'))?.worker.status;
    const update = { mxSourceId, workerId: 'w', workerRank: 0 };

    clock.ms += 10_000_000;
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(await status(), SourceStatus.SOURCE_STATUS_UNKNOWN);

    await client.updateStatus({ ...update, status: SourceStatus.SOURCE_STATUS_READY });
    clock.ms += 90_000;
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(await status(), SourceStatus.SOURCE_STATUS_READY);
    clock.ms += 1;
    await until(async () => (await status()) === SourceStatus.SOURCE_STATUS_STALE);
    clock.ms += 3_600_001;
    await until(async () => (await status()) === undefined);
    assert.deepEqual(await client.listSources({}), []);
    const reply = await client.updateStatus({ ...update, status: SourceStatus.SOURCE_STATUS_READY });
    assert.equal(reply.success, false);
  });
});

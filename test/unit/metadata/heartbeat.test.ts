import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import type { MetadataClient } from '#src/metadata/client.js';
import { Heartbeat, type WorkerVitals } from '#src/metadata/heartbeat.js';
import { silentLogger } from '#src/observe/logger.js';

const { SOURCE_STATUS_READY: READY, SOURCE_STATUS_STALE: STALE } = SourceStatus;

type Update = Parameters<MetadataClient['updateStatus']>[0];

/** A heartbeat of a worker with these vitals, and what it sends. */
function heartbeatOf(vitals: WorkerVitals): { heartbeat: Heartbeat; sent: Update[]; answer: { success: boolean } } {
  const sent: Update[] = [];
  const answer = { success: true };
  const client = {
    updateStatus: async (update: Update) => {
      sent.push(update);
      return { ...answer, message: '' };
    },
  };
  const heartbeat = new Heartbeat({
    client: client as unknown as MetadataClient,
    workerId: 'w',
    workerRank: 3,
    logger: silentLogger,
    answerMs: 20,
    ...vitals,
  });
  heartbeat.published('s1');
  return { heartbeat, sent, answer };
}

describe('a heartbeat', () => {
  it('is READY with the load where that is known', async () => {
    let load: number | undefined = 0.25;
    const { heartbeat, sent } = heartbeatOf({ sourceLoad: () => load });
    await heartbeat.beat(undefined);
    load = undefined;
    await heartbeat.beat(undefined);
    const ready = { mxSourceId: 's1', workerId: 'w', workerRank: 3, status: READY };
    assert.deepEqual(sent, [{ ...ready, sourceLoad: 0.25 }, ready]);
  });

  it('has a load from 0 to 1, or none: nothing about it breaks a heartbeat', async () => {
    const broken = (): number => {
      throw new Error('no counters');
    };
    for (const [sourceLoad, expected] of [
      [() => 7, 1],
      [() => -1, 0],
      [() => Number.NaN, undefined],
      [broken, undefined],
      [() => Promise.reject(new Error('no counters')), undefined],
    ] as const) {
      const { heartbeat, sent } = heartbeatOf({ sourceLoad });
      assert.equal((await heartbeat.beat(undefined)).success, true);
      assert.deepEqual([sent[0]?.status, sent[0]?.sourceLoad], [READY, expected]);
    }
  });

  it('is STALE once while the worker is not healthy, then nothing, and READY again', async () => {
    let healthy = false;
    const { heartbeat, sent } = heartbeatOf({ healthy: () => Promise.resolve(healthy) });
    for (let beat = 0; beat < 3; beat++) assert.equal((await heartbeat.beat(undefined)).success, true);
    healthy = true;
    await heartbeat.beat(undefined);
    assert.deepEqual(
      sent.map(({ status }) => status),
      [STALE, READY],
    );
  });

  it('says STALE again when that was refused, and after the worker was published anew', async () => {
    const { heartbeat, sent, answer } = heartbeatOf({ healthy: () => false });
    answer.success = false;
    assert.equal((await heartbeat.beat(undefined)).success, false);
    answer.success = true;
    await heartbeat.beat(undefined);
    await heartbeat.beat(undefined);
    heartbeat.published('s2');
    await heartbeat.beat(undefined);
    assert.deepEqual(
      sent.map(({ mxSourceId, status }) => [mxSourceId, status]),
      [
        ['s1', STALE],
        ['s1', STALE],
        ['s2', STALE],
      ],
    );
  });

  it('does not wait long for a worker that does not answer: it is not healthy then', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const hung = heartbeatOf({ healthy: never });
    await hung.heartbeat.beat(undefined);
    assert.equal(hung.sent[0]?.status, STALE);
    const mute = heartbeatOf({ sourceLoad: never });
    await mute.heartbeat.beat(undefined);
    assert.deepEqual([mute.sent[0]?.status, mute.sent[0]?.sourceLoad], [READY, undefined]);
  });

  it('is not sent any more once it is aborted', async () => {
    const abort = new AbortController();
    const { heartbeat, sent } = heartbeatOf({ healthy: () => new Promise(() => undefined) });
    const beating = heartbeat.beat(abort.signal);
    abort.abort();
    await assert.rejects(beating, { code: 'ERR_ABORTED' });
    assert.deepEqual(sent, []);
  });

  it('ends with STALE where READY was ever said', async () => {
    const never = heartbeatOf({ healthy: () => false });
    await never.heartbeat.farewell();
    assert.deepEqual(never.sent, []);
    const ready = heartbeatOf({});
    await ready.heartbeat.beat(undefined);
    await ready.heartbeat.farewell();
    assert.deepEqual(
      ready.sent.map(({ status }) => status),
      [READY, STALE],
    );
  });
});

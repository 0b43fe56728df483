import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourcesView, type SourcesView } from '#src/daemon/page/view/sources-view.js';
import { BackendFramework, MxSourceType } from '#src/gen/model_express/p2p.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { INITIALIZING, publish, READY, STALE, UNKNOWN } from '../../support/fleet.js';

const now = 1_000_000;

async function viewOf(store: MemoryStore, filter = ''): Promise<SourcesView> {
  return sourcesView(await store.list(), { now, heartbeatTimeoutMs: 90_000, filter });
}

const heard = (ageMs: number): { updatedAt: bigint } => ({ updatedAt: BigInt(now - ageMs) });

test('nothing is an empty view', async () => {
  const view = await viewOf(new MemoryStore());
  assert.deepEqual(view.totals, { sources: 0, workers: 0, ready: 0, silent: 0, initializing: 0, stale: 0 });
  assert.deepEqual(view.sources, []);
});

test('status and silence decide how a worker stands', async () => {
  const store = new MemoryStore();
  await publish(store, 'fresh', { workerRank: 0, status: READY, ...heard(45_000) });
  await publish(store, 'late', { workerRank: 1, status: READY, ...heard(45_001) });
  await publish(store, 'just', { workerRank: 2, status: READY, ...heard(90_000) });
  await publish(store, 'silent', { workerRank: 3, status: READY, ...heard(90_001) });
  await publish(store, 'coming', { workerRank: 4, status: INITIALIZING, ...heard(0) });
  await publish(store, 'stuck', { workerRank: 5, status: INITIALIZING, ...heard(100_000) });
  await publish(store, 'stale', { workerRank: 6, status: STALE, ...heard(0) });
  await publish(store, 'unknown', { workerRank: 7, status: UNKNOWN });
  await publish(store, 'future', { workerRank: 8, status: READY, ...heard(-500_000) });
  const view = await viewOf(store);
  const [source] = view.sources;
  assert.deepEqual(
    source?.workers.map(({ listing, freshness }) => [listing.workerId, freshness.status, freshness.health]),
    [
      ['fresh', 'READY', 'fresh'],
      ['late', 'READY', 'late'],
      ['just', 'READY', 'late'],
      ['silent', 'READY', 'silent'],
      ['coming', 'INITIALIZING', 'fresh'],
      ['stuck', 'INITIALIZING', 'silent'],
      ['stale', 'STALE', 'stale'],
      ['unknown', 'UNKNOWN', 'unknown'],
      ['future', 'READY', 'fresh'],
    ],
  );
  assert.deepEqual(source.counts, { workers: 9, ready: 4, silent: 2, initializing: 1, stale: 1 });
  assert.deepEqual(view.totals, { sources: 1, ...source.counts });
});

test('sources are in the order of their names, workers of their ranks', async () => {
  const store = new MemoryStore();
  await publish(store, 'z', { workerRank: 1 }, { modelName: 'b' });
  await publish(store, 'b', { workerRank: 10 }, { modelName: 'a' });
  await publish(store, 'a', { workerRank: 10 }, { modelName: 'a' });
  await publish(store, 'c', { workerRank: 9 }, { modelName: 'a' });
  const view = await viewOf(store);
  assert.deepEqual(
    view.sources.map(({ facts, workers }) => [facts.modelName, workers.map(({ listing }) => listing.workerId)]),
    [
      ['a', ['c', 'a', 'b']],
      ['b', ['z']],
    ],
  );
});

test('facts are those of the identity, in words', async () => {
  const store = new MemoryStore();
  await publish(
    store,
    'w',
    {},
    {
      modelName: 'm',
      mxSourceType: MxSourceType.MX_SOURCE_TYPE_LORA,
      backendFramework: BackendFramework.BACKEND_FRAMEWORK_TRT_LLM,
      backendFrameworkVersion: '1.2',
      tensorParallelSize: 8,
      pipelineParallelSize: 2,
      expertParallelSize: 4,
      dtype: 'bfloat16',
      quantization: 'fp8',
      revision: 'abc',
      extraParameters: { training_step: '18446744073709551615' },
    },
  );
  assert.deepEqual((await viewOf(store)).sources[0]?.facts, {
    modelName: 'm',
    type: 'LoRA',
    framework: 'TensorRT-LLM',
    frameworkVersion: '1.2',
    tensorParallelSize: 8,
    pipelineParallelSize: 2,
    expertParallelSize: 4,
    dtype: 'bfloat16',
    quantization: 'fp8',
    revision: 'abc',
    trainingStep: '18446744073709551615',
  });
});

test('all words of a filter must be found; the totals are those of the whole server', async () => {
  const store = new MemoryStore();
  await publish(store, 'cafe01', { workerRank: 0, accelerator: 'CUDA', topology: { rack: 'r1' }, ...heard(0) }, { modelName: 'Qwen/Big' });
  await publish(store, 'cafe02', { workerRank: 3, status: STALE, topology: { rack: 'r2' } }, { modelName: 'Qwen/Big' });
  await publish(store, 'dead01', { workerRank: 3, ...heard(200_000) }, { modelName: 'Llama', dtype: 'float16' });
  const found = async (filter: string): Promise<string[]> =>
    (await viewOf(store, filter)).sources.flatMap(({ workers }) => workers.map(({ listing }) => listing.workerId));
  assert.deepEqual(await found('qwen'), ['cafe01', 'cafe02']);
  assert.deepEqual(await found('  QWEN   stale '), ['cafe02']);
  assert.deepEqual(await found('rank=3'), ['dead01', 'cafe02']);
  assert.deepEqual(await found('rack=r1 cuda'), ['cafe01']);
  assert.deepEqual(await found('silent'), ['dead01']);
  assert.deepEqual(await found('ready'), ['cafe01'], 'a silent worker is not READY to targets');
  assert.deepEqual(await found('float16'), ['dead01']);
  assert.deepEqual(await found('nowhere'), []);
  const view = await viewOf(store, 'qwen stale');
  assert.deepEqual(view.totals, { sources: 2, workers: 3, ready: 1, silent: 1, initializing: 0, stale: 1 });
  assert.equal(view.matching, 1);
  assert.equal(view.sources[0]?.counts.workers, 1);
});

test('of 10 000 workers 200 are shown, those that need a look among them', async () => {
  const store = new MemoryStore();
  for (let rank = 0; rank < 10_000; rank++) {
    await publish(store, `w${String(rank)}`, { workerRank: rank, status: rank % 1000 === 999 ? STALE : READY, ...heard(0) });
  }
  const [source] = (await viewOf(store)).sources;
  assert.equal(source?.workers.length, 200);
  assert.equal(source.counts.workers, 10_000);
  const stale = source.workers.filter(({ freshness }) => freshness.health === 'stale').map(({ listing }) => listing.workerRank);
  assert.deepEqual(stale, [999, 1999, 2999, 3999, 4999, 5999, 6999, 7999, 8999, 9999]);
  assert.deepEqual(
    source.workers.slice(0, 190).map(({ listing }) => listing.workerRank),
    Array.from({ length: 190 }, (_, rank) => rank),
  );
});

test('many sources share the page', async () => {
  const store = new MemoryStore();
  for (let source = 0; source < 120; source++) {
    for (let rank = 0; rank < 15; rank++)
      await publish(store, `w${String(rank)}`, { workerRank: rank }, { modelName: `m${String(source).padStart(3, '0')}` });
  }
  const view = await viewOf(store);
  assert.equal(view.matching, 120);
  assert.equal(view.sources.length, 100);
  assert.ok(view.sources.every(({ workers, counts }) => workers.length === 10 && counts.workers === 15));
});

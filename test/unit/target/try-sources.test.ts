/** Which failure tries the next source, and what is said when none is left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeightcastError, type ErrorCode, type SourceAttempt } from '#src/errors.js';
import { concernsSource } from '#src/target/blame.js';
import type { Unreadable } from '#src/target/discovery/discovery.js';
import { trySources, type TrySourcesOptions } from '#src/target/try-sources.js';

type Outcome = Error | Unreadable | { readonly weights: string };

/** Sources w1, w2, … that end as `outcomes` say; every worker that was tried is in `tried`. */
function sources(outcomes: readonly Outcome[], options: Partial<TrySourcesOptions<{ weights: string }>> = {}) {
  const candidates = outcomes.map((_, index) => ({ sourceId: 's', workerId: `w${String(index + 1)}` }));
  const tried: string[] = [];
  const heard: SourceAttempt[] = [];
  const running = trySources<{ weights: string }>({
    candidates,
    maxSources: 3,
    subject: 'org/model',
    signal: undefined,
    attempt: async (candidate) => {
      tried.push(candidate.workerId);
      const outcome = outcomes[candidates.indexOf(candidate)];
      await Promise.resolve();
      if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error('no such candidate');
      return outcome;
    },
    onFailure: (failure) => heard.push(failure),
    ...options,
  });
  return { running, tried, heard };
}

const failure = (code: ErrorCode, message: string = code): WeightcastError => new WeightcastError(code, message, { peer: '10.0.0.1:1' });

const next: readonly ErrorCode[] = [
  ...(['ERR_SOURCE_GONE', 'ERR_PEER_LOST', 'ERR_STALLED', 'ERR_REMOTE_ACCESS', 'ERR_PROTOCOL', 'ERR_HANDSHAKE', 'ERR_VERBS'] as const),
  ...(['ERR_CHECKSUM_MISMATCH', 'ERR_TENSOR_MISSING', 'ERR_TENSOR_SIZE', 'ERR_TENSOR_DTYPE', 'ERR_TENSOR_SHAPE'] as const),
  ...(['ERR_MODEL_INVALID', 'ERR_TRANSPORT_UNAVAILABLE', 'ERR_NO_SOURCE', 'ERR_SERVER', 'ERR_OVERLOADED', 'ERR_TLS'] as const),
  ...(['ERR_UNAUTHENTICATED', 'ERR_PERMISSION_DENIED'] as const),
];
const atOnce: readonly ErrorCode[] = [
  ...(['ERR_ABORTED', 'ERR_DISK_FULL', 'ERR_OUT_OF_MEMORY', 'ERR_INVALID_ARGUMENT', 'ERR_ALREADY_EXISTS', 'ERR_IO'] as const),
  ...(['ERR_MEMLOCK_LIMIT', 'ERR_REGISTRATION', 'ERR_RDMA_UNAVAILABLE', 'ERR_DEVICE_NOT_FOUND', 'ERR_NATIVE_UNAVAILABLE'] as const),
  ...(['ERR_SERVER_UNREACHABLE', 'ERR_RANK_NOT_FOUND', 'ERR_PUBLISH_REFUSED', 'ERR_NOT_FOUND', 'ERR_CLOSED', 'ERR_INTERNAL'] as const),
  ...(['ERR_CONFIG', 'ERR_STORE'] as const),
];

for (const code of next) {
  test(`${code} tries the next source`, async () => {
    assert.ok(concernsSource(failure(code)));
    const { running, tried, heard } = sources([failure(code, 'why'), { weights: 'w2' }]);
    const { pulled, failed } = await running;
    assert.equal(pulled.weights, 'w2');
    assert.deepEqual(tried, ['w1', 'w2']);
    assert.deepEqual(failed, heard);
    const [first] = failed;
    assert.ok(first !== undefined && first.ms >= 0);
    assert.deepEqual({ ...first, ms: 0 }, { sourceId: 's', workerId: 'w1', code, message: 'why', ms: 0, counted: true });
  });
}

for (const code of atOnce) {
  test(`${code} ends the pull at once`, async () => {
    const error = failure(code);
    const { running, tried } = sources([error, { weights: 'w2' }]);
    await assert.rejects(running, (thrown) => thrown === error);
    assert.deepEqual(tried, ['w1']);
  });
}

test('no more than maxSources are tried, and the rest is counted', async () => {
  const { running, tried } = sources([
    failure('ERR_SOURCE_GONE', 'no record'),
    failure('ERR_PEER_LOST', 'died'),
    failure('ERR_CHECKSUM_MISMATCH', 'lied'),
    { weights: 'w4' },
  ]);
  await assert.rejects(running, (error: WeightcastError) => {
    assert.equal(error.code, 'ERR_CHECKSUM_MISMATCH', 'the code of the last');
    assert.equal(error.peer, '10.0.0.1:1');
    assert.match(error.message, /^3 source\(s\) of org\/model failed; 1 more not tried, since 3 are the most/);
    assert.deepEqual(error.message.split('\n').slice(1), [
      'worker w1: ERR_SOURCE_GONE: no record',
      'worker w2: ERR_PEER_LOST: died',
      'worker w3: ERR_CHECKSUM_MISMATCH: lied',
    ]);
    assert.deepEqual(
      error.attempts?.map((attempt) => attempt.workerId),
      ['w1', 'w2', 'w3'],
    );
    return true;
  });
  assert.deepEqual(tried, ['w1', 'w2', 'w3']);
});

test('the only source keeps its error as it is', async () => {
  const error = failure('ERR_PEER_LOST');
  await assert.rejects(sources([error]).running, (thrown) => thrown === error);
});

test('one try of several says that others were not tried', async () => {
  const { running, tried } = sources([failure('ERR_PEER_LOST'), { weights: 'w2' }], { maxSources: 1 });
  await assert.rejects(running, { code: 'ERR_PEER_LOST', message: /1 source\(s\).*1 more not tried, since 1 are/ });
  assert.deepEqual(tried, ['w1']);
});

test('sources that cannot be read do not count, and are said', async () => {
  const unreadable = Array.from({ length: 8 }, () => ({ unreadable: 'publishes nixlMetadata' }));
  const { running, tried } = sources([...unreadable, { weights: 'w9' }], { maxSources: 1 });
  const { pulled, failed } = await running;
  assert.equal(pulled.weights, 'w9');
  assert.equal(tried.length, 9);
  assert.ok(failed.every((attempt) => !attempt.counted && attempt.code === 'ERR_TRANSPORT_UNAVAILABLE'));
  await assert.rejects(sources(unreadable).running, {
    code: 'ERR_TRANSPORT_UNAVAILABLE',
    message: /^no listed source of org\/model can be read:\nworker w1: .*nixlMetadata(\n.*){4}\n3 more workers cannot be read either$/,
  });
  await assert.rejects(sources([...unreadable.slice(0, 1), failure('ERR_PEER_LOST')]).running, {
    code: 'ERR_PEER_LOST',
    message: /^1 source\(s\) of org\/model failed:\nworker w2: .*\nworker w1: /,
  });
});

test('our own failure after others names them, and keeps its code', async () => {
  const full = new WeightcastError('ERR_DISK_FULL', 'no room', { file: '/out' });
  const { running, tried } = sources([failure('ERR_PEER_LOST', 'died'), full, { weights: 'w3' }]);
  await assert.rejects(running, (error: WeightcastError) => {
    assert.equal(error.code, 'ERR_DISK_FULL');
    assert.equal(error.file, '/out');
    assert.equal(error.cause, full);
    assert.equal(error.message, 'no room\nbefore that:\nworker w1: ERR_PEER_LOST: died');
    assert.equal(error.attempts?.length, 1);
    return true;
  });
  assert.deepEqual(tried, ['w1', 'w2']);
});

test('an abort between two sources ends it', async () => {
  const abort = new AbortController();
  const { running, tried } = sources([failure('ERR_PEER_LOST'), { weights: 'w2' }], {
    signal: abort.signal,
    onFailure: () => {
      abort.abort();
    },
  });
  await assert.rejects(running, { code: 'ERR_ABORTED' });
  assert.deepEqual(tried, ['w1']);
});

import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Feed, type Snapshot } from '#src/daemon/page/live/feed.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { publish } from '../../support/fleet.js';

interface Setting {
  readonly store: MemoryStore;
  readonly feed: Feed;
  readonly asked: () => number;
  readonly pass: (ms: number) => Promise<void>;
}

function setUp(t: TestContext): Setting {
  mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const clock = mock.method(performance, 'now', () => now);
  t.after(() => {
    mock.timers.reset();
    clock.mock.restore();
  });
  const store = new MemoryStore();
  const list = mock.method(store, 'list');
  const feed = new Feed({ store, clock: () => now, transfers: new TransferLog() });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      now += 100;
      mock.timers.tick(100);
      await turn();
    }
  };
  return { store, feed, asked: () => list.mock.callCount(), pass };
}

test('the store is asked once a second for all who watch, and not at all when nobody does', async (t) => {
  const { feed, asked, pass } = setUp(t);
  await pass(5000);
  assert.equal(asked(), 0);
  let seen = 0;
  const watch = (): (() => void) =>
    feed.watch(async () => {
      seen++;
    });
  const stops = [watch(), watch(), watch()];
  await pass(5000);
  assert.equal(asked(), 5);
  assert.equal(seen, 15);
  for (const stop of stops) stop();
  await pass(5000);
  assert.equal(asked(), 5);
});

test('those who look once share what was seen within a second', async (t) => {
  const { feed, asked, pass } = setUp(t);
  const [a, b] = await Promise.all([feed.current(), feed.current()]);
  assert.equal(a, b);
  await pass(900);
  assert.equal(await feed.current(), a);
  await pass(100);
  assert.notEqual(await feed.current(), a);
  assert.equal(asked(), 2);
});

test('a watcher that takes its time is not told of the next before it is done, and the server rests', async (t) => {
  const { feed, asked, pass } = setUp(t);
  let finish: (() => void) | undefined;
  feed.watch(() => new Promise((done) => (finish = done)));
  await pass(3000);
  assert.equal(asked(), 1);
  finish?.();
  await turn();
  await pass(7900);
  assert.equal(asked(), 1, 'it took two seconds, so that four times as long passes');
  await pass(200);
  assert.equal(asked(), 2);
  feed.close();
});

test('stopping and watching again during a round leaves one chain of rounds', async (t) => {
  const { feed, asked, pass } = setUp(t);
  let stop = feed.watch(async () => {
    stop();
    stop = feed.watch(async () => undefined);
  });
  await pass(10_000);
  assert.equal(asked(), 10);
  feed.close();
});

test('a store that fails is told of, with what it said last', async (t) => {
  const { store, feed, pass } = setUp(t);
  await publish(store, 'w');
  assert.equal((await feed.current()).storeAnswers, true);
  store.list = () => Promise.reject(new Error('no connection'));
  await pass(1000);
  const { storeAnswers, listings } = await feed.current();
  assert.equal(storeAnswers, false);
  assert.equal(listings.length, 1);
});

test('a store that says nothing is waited for two seconds, and not asked twice', async (t) => {
  const { store, feed, pass } = setUp(t);
  let answer: ((listings: []) => void) | undefined;
  const list = mock.method(store, 'list', () => new Promise<[]>((done) => (answer = done)));
  const seen: Snapshot[] = [];
  const look = (): void => void feed.current().then((snapshot) => seen.push(snapshot));
  look();
  await pass(2000);
  assert.deepEqual(
    seen.map(({ storeAnswers }) => storeAnswers),
    [false],
  );
  look();
  await pass(2000);
  assert.equal(list.mock.callCount(), 1);
  answer?.([]);
  await turn();
  look();
  await turn();
  assert.equal(list.mock.callCount(), 2);
  answer?.([]);
  await turn();
  assert.equal(seen.at(-1)?.storeAnswers, true);
});

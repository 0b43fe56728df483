/** Open pages that are slow, gone, or too many. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { mock, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { ViewMessage } from '#src/daemon/page/browser/page/patch-message.js';
import { Feed } from '#src/daemon/page/live/feed.js';
import type { Regions } from '#src/daemon/page/live/regions.js';
import { Viewers } from '#src/daemon/page/live/viewers.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';

/** A response whose peer reads, or does not. */
class Peer extends EventEmitter {
  readonly chunks: string[] = [];
  reads = true;
  destroyed = false;
  writeHead(): this {
    return this;
  }
  flushHeaders(): void {
    // Nothing is sent anywhere.
  }
  write(chunk: string): boolean {
    this.chunks.push(chunk);
    return this.reads;
  }
  end(): void {
    this.emit('close');
  }
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
  /** Takes what was written. */
  drain(): void {
    this.reads = true;
    this.emit('drain');
  }
  get views(): ViewMessage[] {
    return this.chunks
      .filter((chunk) => chunk.startsWith('event: view'))
      .map((chunk) => JSON.parse(chunk.slice(chunk.indexOf('data: ') + 6)) as ViewMessage);
  }
}

interface Setting {
  readonly viewers: Viewers;
  /** What the page shows from now on. */
  readonly show: (text: string) => void;
  readonly builds: () => number;
  readonly add: (filter?: string) => Promise<Peer>;
  readonly pass: (ms: number) => Promise<void>;
  readonly breakDown: () => void;
}

function setUp(t: TestContext, most = 10): Setting {
  mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const clock = mock.method(performance, 'now', () => now);
  t.after(() => {
    mock.timers.reset();
    clock.mock.restore();
  });
  const feed = new Feed({ store: new MemoryStore(), clock: () => now, transfers: new TransferLog() });
  let text = 'first';
  let builds = 0;
  let broken = false;
  const build = async (_: unknown, filter: string): Promise<Regions> => {
    builds++;
    if (broken) throw new Error('cannot build');
    return new Map([['summary', new Map([['text', `${text} ${filter}`]])]]);
  };
  const viewers = new Viewers({ feed, build, most });
  t.after(() => {
    viewers.close();
    feed.close();
  });
  return {
    viewers,
    show: (next) => {
      text = next;
    },
    builds: () => builds,
    add: async (filter = '') => {
      const peer = new Peer();
      await viewers.add(peer as unknown as ServerResponse, filter);
      return peer;
    },
    pass: async (ms) => {
      for (let passed = 0; passed < ms; passed += 500) {
        now += 500;
        mock.timers.tick(500);
        for (let turns = 0; turns < 10; turns++) await turn();
      }
    },
    breakDown: () => {
      broken = true;
    },
  };
}

const texts = (peer: Peer): (string | undefined)[] => peer.views.map(({ patch }) => patch[0]?.[2][0]?.[1]);

test('everything first, then what changed, and a beat when nothing did', async (t) => {
  const { add, show, pass } = setUp(t);
  const peer = await add();
  await pass(4000);
  assert.deepEqual(peer.views, [{ at: 0, whole: true, patch: [['summary', ['text'], [['text', 'first ']]]] }]);
  show('second');
  await pass(1000);
  assert.deepEqual(peer.views.at(-1), { at: 5000, whole: false, patch: [['summary', null, [['text', 'second ']]]] });
  await pass(5000);
  assert.equal(peer.chunks.at(-1), 'event: beat\ndata: {"at":10000}\n\n');
});

test('pages with the same filter share what is made for them', async (t) => {
  const { add, show, pass, builds } = setUp(t);
  const peers = [await add('a'), await add('a'), await add('b')];
  const before = builds();
  show('second');
  await pass(1000);
  assert.equal(builds() - before, 2);
  assert.deepEqual(peers.map(texts), [
    ['first a', 'second a'],
    ['first a', 'second a'],
    ['first b', 'second b'],
  ]);
});

test('a slow page gets nothing until it has taken what it was sent, then the newest', async (t) => {
  const { add, show, pass } = setUp(t);
  const slow = await add();
  const fast = await add();
  slow.reads = false;
  for (const text of ['second', 'third', 'fourth', 'fifth']) {
    show(text);
    await pass(1000);
  }
  assert.deepEqual(texts(fast), ['first ', 'second ', 'third ', 'fourth ', 'fifth ']);
  assert.deepEqual(texts(slow), ['first ', 'second '], 'one more than it reads');
  slow.drain();
  await pass(1000);
  assert.deepEqual(texts(slow), ['first ', 'second ', 'fifth ']);
});

test('a page that takes nothing for 30 s is given up', async (t) => {
  const { add, show, pass } = setUp(t);
  const stuck = await add();
  const fine = await add();
  stuck.reads = false;
  show('second');
  await pass(30_000);
  assert.equal(stuck.destroyed, false);
  await pass(3000);
  assert.equal(stuck.destroyed, true);
  assert.equal(fine.destroyed, false);
});

test('nothing is made when the last page is closed', async (t) => {
  const { add, pass, builds } = setUp(t);
  const peer = await add();
  await pass(3000);
  peer.end();
  const before = builds();
  await pass(5000);
  assert.equal(builds(), before);
});

test('only so many pages; closed means full', async (t) => {
  const { viewers, add } = setUp(t, 2);
  const first = await add();
  assert.equal(viewers.isFull, false);
  await add();
  assert.equal(viewers.isFull, true);
  first.end();
  assert.equal(viewers.isFull, false);
  viewers.close();
  assert.equal(viewers.isFull, true);
});

test('a failure ends the pages that it concerns, and nothing else', async (t) => {
  const { add, pass, breakDown } = setUp(t);
  const peer = await add();
  breakDown();
  await pass(1000);
  assert.equal(peer.destroyed, true);
});

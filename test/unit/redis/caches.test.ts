import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeightcastError } from '#src/errors.js';
import { Recent } from '#src/metadata/stores/redis/recent.js';
import { SharedReads } from '#src/metadata/stores/redis/shared-reads.js';
import { TrackedKeys } from '#src/metadata/stores/redis/tracked-keys.js';
import { checkUrl, maskUrl } from '#src/metadata/stores/redis/url.js';

describe('recently used entries', () => {
  it('stay within their budget, the oldest leaving first', () => {
    const dropped: string[] = [];
    const recent = new Recent<number>(10, (key) => dropped.push(key));
    recent.set('a', 1, 4);
    recent.set('b', 2, 4);
    assert.equal(recent.get('a'), 1);
    recent.set('c', 3, 4);
    assert.deepEqual(dropped, ['b']);
    assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [1, undefined, 3]);
    recent.set('a', 5, 1);
    recent.set('d', 6, 5);
    assert.deepEqual(dropped, ['b'], 'a replaced entry frees its weight');
    recent.set('huge', 7, 1000);
    assert.equal(recent.get('huge'), 7);
    assert.deepEqual(dropped.sort(), ['a', 'b', 'c', 'd']);
    recent.set('e', 8, 10);
    assert.equal(recent.get('huge'), undefined);
    recent.delete('e');
    recent.delete('e');
    assert.deepEqual(dropped.slice(4), ['huge', 'e']);
  });
});

describe('tracked keys', () => {
  it('void what was read before a change, and only that', () => {
    const tracked = new TrackedKeys();
    const first = tracked.token('a');
    const other = tracked.token('b');
    assert.equal(tracked.token('a'), first);
    tracked.forget('a');
    assert.ok(!tracked.isCurrent('a', first) && tracked.isCurrent('b', other));
    // A read that began after the change does not make the earlier one current.
    const second = tracked.token('a');
    assert.ok(!tracked.isCurrent('a', first) && tracked.isCurrent('a', second));
    tracked.forget();
    assert.ok(!tracked.isCurrent('a', second) && !tracked.isCurrent('b', other));
  });
});

describe('shared reads', () => {
  it('serve callers that came before they began, one running and one waiting', async () => {
    const shared = new SharedReads<number>();
    let written = 0;
    let reads = 0;
    const read = async (): Promise<number> => {
      reads++;
      const value = written;
      await sleep(20);
      return value;
    };
    const first = shared.read('k', read);
    written = 1;
    const later = Array.from({ length: 10 }, () => shared.read('k', read));
    assert.equal(await first, 0);
    assert.deepEqual(new Set(await Promise.all(later)), new Set([1]));
    assert.equal(reads, 2);
    written = 2;
    assert.equal(await shared.read('k', read), 2);
  });

  it('never overlap, however callers come', async () => {
    const shared = new SharedReads<void>();
    let active = 0;
    const read = async (): Promise<void> => {
      assert.equal(++active, 1);
      for (let tick = 0; tick < 5; tick++) await Promise.resolve();
      active--;
    };
    const callers = Array.from({ length: 50 }, async (_, ticks) => {
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      await shared.read('k', read);
    });
    await Promise.all(callers);
    assert.equal(active, 0);
  });

  it('go on after one that failed', async () => {
    const shared = new SharedReads<number>();
    const failing = shared.read('k', () => Promise.reject(new Error('lost')));
    const next = shared.read('k', () => Promise.resolve(1));
    await assert.rejects(failing, /lost/);
    assert.equal(await next, 1);
    assert.equal(await shared.read('k', () => Promise.resolve(2)), 2);
  });
});

describe('addresses of Redis', () => {
  it('are shown without credentials', () => {
    assert.equal(maskUrl('redis://user:pa@ss/word@host:1/2'), 'redis://***@host:1/2');
    assert.equal(maskUrl('redis://host'), 'redis://host');
    assert.equal(maskUrl('unix://:secret@/run/redis.sock'), 'unix://***@/run/redis.sock');
  });

  it('are checked', () => {
    for (const url of ['redis://host', 'redis://u:p@host:6379/3', 'rediss://host/', 'unix:///run/redis.sock', 'redis://[::1]:1'])
      checkUrl(url);
    for (const url of ['', 'host:6379', 'http://host', 'redis://', 'redis://host/name', 'redis://host:99999', 'unix://']) {
      assert.throws(
        () => checkUrl(url),
        (error) => error instanceof WeightcastError && error.code === 'ERR_INVALID_ARGUMENT',
        url,
      );
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ExpiringMap } from '#src/security/token-review-cache.js';

describe('the cache of reviewed tokens', () => {
  it('keeps a value until its time has passed', () => {
    const clock = { now: 0 };
    const map = new ExpiringMap<number>({ capacity: 2, ttlMs: 10, now: () => clock.now });
    map.set('a', 1);
    clock.now = 9;
    assert.equal(map.get('a'), 1);
    clock.now = 10;
    assert.equal(map.get('a'), undefined);
    assert.equal(map.size, 0);
  });

  it('begins the time anew when a value is set again', () => {
    const clock = { now: 0 };
    const map = new ExpiringMap<number>({ capacity: 2, ttlMs: 10, now: () => clock.now });
    map.set('a', 1);
    clock.now = 9;
    map.set('a', 2);
    clock.now = 18;
    assert.equal(map.get('a'), 2);
  });

  it('drops what was set first when it is full', () => {
    const map = new ExpiringMap<number>({ capacity: 10_000, ttlMs: 10, now: () => 0 });
    for (let index = 0; index < 10_000; index++) map.set(String(index), index);
    map.set('0', 0);
    map.set('one more', 1);
    assert.equal(map.size, 10_000);
    assert.equal(map.get('1'), undefined);
    assert.equal(map.get('0'), 0);
    assert.equal(map.get('2'), 2);
    assert.equal(map.get('one more'), 1);
  });
});

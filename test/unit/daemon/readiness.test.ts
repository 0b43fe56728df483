import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Readiness } from '#src/daemon/readiness.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';

/** A store whose state a test decides. */
class Fickle extends MemoryStore {
  failure: Error | undefined;
  hang = false;
  asked = 0;

  override check(): Promise<void> {
    this.asked += 1;
    if (this.hang) return new Promise(() => undefined);
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure);
  }
}

describe('readiness', () => {
  it('is for those who serve: not while starting, not while draining, and never again after that', async () => {
    const readiness = new Readiness();
    assert.deepEqual(await readiness.check(), { ready: false, reason: 'starting', storeUp: false });
    readiness.serve(new Fickle());
    assert.deepEqual(await readiness.check(), { ready: true, reason: 'ready', storeUp: true });
    readiness.drain();
    assert.deepEqual(await readiness.check(), { ready: false, reason: 'draining', storeUp: true });
    readiness.serve(new Fickle());
    assert.equal((await readiness.check()).reason, 'draining');
  });

  it('follows the store, and says what is wrong with it', async () => {
    const store = new Fickle();
    const readiness = new Readiness();
    readiness.serve(store);
    store.failure = new Error('connection refused');
    const lost = { ready: false, reason: 'the memory store cannot be used: connection refused', storeUp: false };
    assert.deepEqual(await readiness.check(), lost);
    store.failure = undefined;
    assert.equal((await readiness.check()).ready, true);
  });

  it('does not wait for a store that hangs, and asks it once for all who ask meanwhile', async () => {
    const store = new Fickle();
    const readiness = new Readiness();
    readiness.serve(store);
    store.hang = true;
    const verdicts = await Promise.all([readiness.check(), readiness.check(), readiness.check()]);
    for (const { ready, reason } of verdicts)
      assert.deepEqual([ready, reason], [false, 'the memory store cannot be used: no answer for 2000 ms']);
    assert.equal(store.asked, 1);
  });

  it('that is lost while a probe waits is not told as ready', async () => {
    const readiness = new Readiness();
    readiness.serve(new Fickle());
    const probe = readiness.check();
    readiness.drain();
    assert.equal((await probe).ready, false);
  });
});

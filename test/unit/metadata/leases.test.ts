import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { TensorReadLeases } from '#src/metadata/worker/leases.js';
import { leaseMsOf } from '#src/metadata/worker/server.js';

/** Leases of 100 ms on a clock that only the test moves; timers fire as it moves. */
function leasesOn(test: TestContext, options: { maxLeases?: number; maxLeasesOfOne?: number } = {}) {
  test.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const leases = new TensorReadLeases({ leaseMs: 100, now: () => now, ...options });
  const advance = async (ms: number): Promise<void> => {
    now += ms;
    test.mock.timers.tick(ms);
    await settle();
  };
  const take = (holder = 'host'): string => {
    const taken = leases.take(holder);
    assert.ok('id' in taken, 'a lease');
    return taken.id;
  };
  return { leases, advance, take };
}

/** Lets everything run that waits for promises only. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** The value of a promise that is settled already; `undefined` of one that is not. */
async function valueNow<T>(promise: Promise<T>): Promise<T | undefined> {
  await settle();
  return Promise.race([promise, Promise.resolve(undefined)]);
}

describe('leases on tensors', () => {
  it('have ids like those of ModelExpress, run until they are released, and are released once', (test) => {
    const { leases, take } = leasesOn(test);
    const [first, second] = [take(), take()];
    assert.match(first, /^[0-9a-f]{32}$/);
    assert.notEqual(first, second);
    assert.equal(leases.running, 2);
    assert.equal(leases.release(first), true);
    assert.equal(leases.release(first), false);
    assert.equal(leases.release('unknown'), false);
    assert.equal(leases.running, 1);
  });

  it('end by themselves, exactly when their time is over', async (test) => {
    const { leases, take, advance } = leasesOn(test);
    const early = take();
    await advance(60);
    const late = take();
    await advance(39);
    assert.equal(leases.running, 2);
    await advance(1);
    assert.equal(leases.running, 1);
    assert.equal(leases.release(early), false);
    assert.equal(leases.release(late), true);
  });

  it('are bounded, altogether and of one host', async (test) => {
    const { leases, take, advance } = leasesOn(test, { maxLeases: 3, maxLeasesOfOne: 2 });
    const first = take('a');
    take('a');
    assert.deepEqual(leases.take('a'), { refused: 'full' });
    take('b');
    assert.deepEqual(leases.take('b'), { refused: 'full' }, 'three are the most');
    leases.release(first);
    take('a');
    await advance(100);
    assert.equal(leases.running, 0);
    take('a');
    take('a');
    assert.deepEqual(leases.take('a'), { refused: 'full' });
  });

  it('last as those of ModelExpress do', () => {
    assert.equal(leaseMsOf(900_000), 1_830_000);
    assert.equal(leaseMsOf(1000), 270_000);
  });
});

describe('draining', () => {
  it('is over at once when nobody reads, and gives no lease from then on', async (test) => {
    const { leases } = leasesOn(test);
    assert.equal(leases.draining, false);
    assert.equal(await leases.drain(1000), 0);
    assert.equal(leases.draining, true);
    assert.deepEqual(leases.take('host'), { refused: 'draining' });
  });

  it('waits until the last lease is released', async (test) => {
    const { leases, take, advance } = leasesOn(test);
    const [first, second] = [take(), take()];
    const drained = leases.drain(1000);
    await advance(10);
    assert.equal(leases.release(first), true);
    assert.equal(await valueNow(drained), undefined);
    assert.equal(leases.release(second), true);
    assert.equal(await valueNow(drained), 0);
  });

  it('does not wait for readers that are gone longer than their leases last', async (test) => {
    const { leases, take, advance } = leasesOn(test);
    take();
    await advance(50);
    take();
    const drained = leases.drain(1000);
    await settle();
    await advance(50);
    assert.equal(await valueNow(drained), undefined);
    await advance(50);
    assert.equal(await valueNow(drained), 0);
  });

  it('ends when its time is over, with the number of those that still read', async (test) => {
    const { leases, take, advance } = leasesOn(test);
    const [first] = [take(), take()];
    const drained = leases.drain(40);
    await settle();
    await advance(39);
    assert.equal(await valueNow(drained), undefined);
    await advance(1);
    assert.equal(await valueNow(drained), 2);
    assert.equal(leases.release(first), true, 'leases stay what they are');
    assert.deepEqual(leases.take('host'), { refused: 'draining' });
  });
});

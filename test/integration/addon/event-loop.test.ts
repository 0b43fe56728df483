import assert from 'node:assert/strict';
import { stat, unlink } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { native, type NativeRegion } from '#src/native.js';
import { connect, serve, wholeRegion } from './support.js';

/** What a busy machine's scheduler alone may cost, ms. */
const NOISE_MS = 100;

/**
 * Fails when the loop stood still for most of the time that `body` took. Relative, because this machine may be busy with
 * other tests; a call that blocked would stop the loop for all of its time.
 */
async function leavesLoopAlone(what: string, body: () => Promise<unknown>): Promise<void> {
  const histogram = monitorEventLoopDelay({ resolution: 5 });
  histogram.enable();
  await setTimeout(20);
  histogram.reset();
  const begun = performance.now();
  await body();
  const took = performance.now() - begun;
  await setTimeout(20);
  histogram.disable();
  const stopped = histogram.max / 1e6;
  assert.ok(stopped < Math.max(NOISE_MS, took / 2), `${what}: the loop stood still for ${String(stopped)} of ${String(took)} ms`);
}

describe('the event loop', () => {
  it('goes on while gigabytes are mapped, copied, hashed, moved and freed', async () => {
    const bytes = 1n << 30n;
    const name = `weightcast-loop-${String(process.pid)}`;
    const from = await native().allocate(bytes, 'never');
    const regions: NativeRegion[] = [from];
    await leavesLoopAlone('allocate', async () => regions.push(await native().allocate(bytes, 'auto')));
    await leavesLoopAlone('createShared', async () => regions.push(await native().createShared(name, bytes)));
    await unlink(`/dev/shm/${name}`);
    const into = regions[2];
    assert.ok(into !== undefined);
    await leavesLoopAlone('copyRegion', () => native().copyRegion(from, into, 2));
    await leavesLoopAlone(
      'checksum',
      () => native().checksum([into], Uint32Array.of(0), BigUint64Array.of(0n), BigUint64Array.of(bytes), 2).done,
    );
    const server = await serve(from);
    const lane = await connect(server);
    await leavesLoopAlone('transfer', async () => {
      const { fault } = await native().startTransfer(wholeRegion(from, into, [lane])).done;
      assert.equal(fault, undefined);
    });
    await leavesLoopAlone('close', async () => {
      for (const region of regions) region.close();
      await server.close();
    });
  });

  it("is served by libuv's pool meanwhile: native work takes none of its four threads", async () => {
    const region = await native().allocate(1n << 30n, 'never');
    const tasks = Array.from({ length: 8 }, () =>
      native().checksum([region], Uint32Array.of(0), BigUint64Array.of(0n), BigUint64Array.of(1n << 30n), 1),
    );
    let settled = 0;
    const all = Promise.allSettled(tasks.map((task) => task.done.finally(() => (settled += 1))));
    await stat('/');
    assert.equal(settled, 0);
    for (const task of tasks) task.cancel();
    await all;
    region.close();
  });
});

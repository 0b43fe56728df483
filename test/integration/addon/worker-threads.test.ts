import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { native } from '#src/native.js';
import { connect, faultOf, filledRegion, serve, wholeRegion } from './support.js';
import type { WorkerTask } from './transfer-worker.js';

function start(task: WorkerTask): Worker {
  return new Worker(new URL('./transfer-worker.js', import.meta.url), { workerData: task });
}

async function firstMessage(worker: Worker): Promise<unknown> {
  const [message] = (await once(worker, 'message')) as [unknown];
  return message;
}

describe('worker threads', () => {
  it('load the addon beside the main thread, each with its own environment', async () => {
    const workers = [start({ mode: 'once', bytes: 1n << 20n }), start({ mode: 'once', bytes: 1n << 20n })];
    const exits = workers.map((worker) => once(worker, 'exit'));
    assert.deepEqual(await Promise.all(workers.map(firstMessage)), ['done', 'done']);
    assert.deepEqual(await Promise.all(exits), [[0], [0]]);
    const region = await native().allocate(4096n, 'never');
    assert.equal(region.view(0n, 1).byteLength, 1);
    region.close();
  });

  for (const mode of ['transfers', 'promises'] as const) {
    it(`can be terminated at any moment of ${mode}`, async () => {
      for (let round = 0; round < 12; round += 1) {
        const worker = start({ mode, bytes: mode === 'transfers' ? 64n << 20n : 1n << 16n });
        assert.equal(await firstMessage(worker), 'ready');
        await setTimeout(round * 3);
        assert.equal(await worker.terminate(), 1);
      }
    });
  }

  it('that serve can be terminated under a reader, which sees PEER_LOST', async () => {
    const bytes = 256n << 20n;
    const worker = start({ mode: 'serves', bytes });
    const { port, address } = (await firstMessage(worker)) as { port: number; address: bigint };
    const into = await native().allocate(bytes, 'never');
    const transfer = native().startTransfer({
      ...wholeRegion(into, into, [await connect({ port })]),
      remoteAddress: BigUint64Array.of(address),
      bufferAddress: BigUint64Array.of(address),
    });
    while (transfer.progress().bytes === 0n) await setTimeout(0);
    await worker.terminate();
    assert.ok(faultOf('PEER_LOST')((await transfer.done).fault));
    into.close();
  });

  it('do not disturb transfers of the main thread when they are terminated', async () => {
    const bytes = 128n << 20n;
    const from = await filledRegion(bytes, 71);
    const into = await native().allocate(bytes, 'never');
    const server = await serve(from);
    const worker = start({ mode: 'transfers', bytes: 16n << 20n });
    await firstMessage(worker);
    const transfer = native().startTransfer(wholeRegion(from, into, [await connect(server)]));
    await worker.terminate();
    const outcome = await transfer.done;
    assert.deepEqual([outcome.fault, outcome.bytes], [undefined, bytes]);
    for (const region of [from, into]) region.close();
    await server.close();
  });
});

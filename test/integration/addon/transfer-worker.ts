/** A worker thread that pulls from, or serves, its own regions until it is terminated. Not a test by itself. */
import { parentPort, workerData } from 'node:worker_threads';
import { native } from '#src/native.js';
import { connect, filledRegion, serve, wholeRegion } from './support.js';

/** What the worker is to do before it says `ready`. */
export interface WorkerTask {
  readonly mode: 'once' | 'transfers' | 'promises' | 'serves';
  readonly bytes: bigint;
}

const { mode, bytes } = workerData as WorkerTask;
const from = await filledRegion(bytes, 61);
const server = await serve(from);

if (mode === 'once') {
  const into = await native().allocate(bytes, 'never');
  const { fault } = await native().startTransfer(wholeRegion(from, into, [await connect(server)])).done;
  parentPort?.postMessage(fault?.message ?? 'done');
  await server.close();
} else if (mode === 'transfers') {
  const into = await native().allocate(bytes, 'never');
  for (let round = 0; ; round += 1) {
    const transfer = native().startTransfer(wholeRegion(from, into, [await connect(server), await connect(server)]));
    if (round === 0) parentPort?.postMessage('ready');
    await transfer.done;
  }
} else if (mode === 'promises') {
  parentPort?.postMessage('ready');
  const into = new Uint8Array(1);
  for (;;) await Promise.all(Array.from({ length: 100 }, (_, index) => from.read(BigInt(index), into)));
} else {
  parentPort?.postMessage({ port: server.port, address: from.address });
  setInterval(() => server.counters(), 1000);
}

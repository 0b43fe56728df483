/** Host 0 seeds over a rail that loses one packet of a hundred, host 1 reads: every byte, in smaller reads. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { bufferName, Reader } from '#src/bench/read/reader.js';
import { openOffer } from '#src/bench/source/offer.js';
import type { Wire } from '#src/bench/source/offer.js';
import { silentLogger } from '#src/observe/logger.js';
import { address, barrier, GID_INDEX, hostIndex, publish, published } from '../../support/softroce.js';

const MiB = 2 ** 20;
const bytes = 12 * MiB;
const wire: Wire = { transport: 'rdma', devices: ['rxe0'], gidIndex: GID_INDEX, host: address(hostIndex) };

async function tc(...args: string[]): Promise<void> {
  await promisify(execFile)('tc', ['qdisc', ...args]);
}

test('a rail that loses one packet of a hundred brings every byte, in smaller reads', async (t) => {
  if (hostIndex === 0) {
    const specs = [{ name: bufferName, dtype: 'U8', shape: [bytes] }] as const;
    const signal = new AbortController().signal;
    await using offer = await openOffer({
      ...{ listen: `${address(0)}:0`, name: bufferName, specs, checksums: false, wire, signal, logger: silentLogger },
    });
    await publish('loss.seed', offer.address);
    await tc('add', 'dev', 'rail0', 'root', 'netem', 'loss', '1%');
    try {
      await publish('loss.begun');
      await barrier('loss.read');
    } finally {
      await tc('del', 'dev', 'rail0', 'root');
    }
    await barrier('loss.done');
    return;
  }
  using reader = await Reader.open(await published<string>('loss.seed'), wire, new AbortController().signal);
  await published('loss.begun');
  reader.wipe();
  const { result } = await reader.read({ start: 0, bytes }, MiB, { outstanding: undefined, queuePairs: undefined });
  await barrier('loss.read');
  assert.equal(await reader.check({ start: 0, bytes }), bytes);
  const [lane] = result.lanes;
  assert.ok(lane);
  t.diagnostic(`${String(lane.workRequests)} reads, ${String(lane.retransmits)} retransmits, ${result.wireGBps.toFixed(4)} GB/s`);
  assert.equal(lane.failure, '');
  assert.ok(lane.retransmits > 0, 'the port counted no retransmit');
  assert.ok(lane.smallestReadBytes !== undefined && lane.smallestReadBytes <= MiB / 4, String(lane.smallestReadBytes));
  assert.ok(lane.workRequests > 2 * (bytes / MiB), String(lane.workRequests));
  await barrier('loss.done');
});
